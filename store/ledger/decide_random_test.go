package ledger

import (
	"fmt"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// drawPostings draws postings that often keep all rules and often break one.
func drawPostings(t *rapid.T, accounts int) []Posting {
	id := rapid.Custom(func(t *rapid.T) AccountID { return AccountID(rapid.IntRange(1, accounts).Draw(t, "id")) })
	amount := rapid.OneOf(
		rapid.Int64Range(1, 150), rapid.Int64Range(-2, 2),
		rapid.Just(int64(100)),
	)
	if rapid.Bool().Draw(t, "plain") {
		return move(id.Draw(t, "from"), id.Draw(t, "to"), amount.Draw(t, "amount"))
	}
	var postings []Posting
	for range rapid.IntRange(0, 6).Draw(t, "postings") {
		postings = append(postings, Posting{id.Draw(t, "account"), NewAmount(amount.Draw(t, "amount"))})
		if rapid.Bool().Draw(t, "huge") {
			n := len(postings) - 1
			postings[n].Amount.v.Mul(&postings[n].Amount.v, &maxAmount)
			if !postings[n].Amount.inRange() {
				postings[n].Amount = Amount{v: maxAmount}
			}
		}
	}
	return postings
}

// permitted tells, in big integers, whether the rules let postings through.
func permitted(b *batch, postings []Posting) bool {
	limit := maxAmount.ToBig()
	sums := map[AssetID]*big.Int{}
	seen := map[AccountID]bool{}
	for _, p := range postings {
		a := b.accounts[p.Account]
		after := new(big.Int).Add(toBig(a.Balance), toBig(p.Amount))
		floored := a.Floor != nil && after.Cmp(toBig(*a.Floor)) < 0
		if seen[p.Account] || p.Amount.IsZero() || floored || after.CmpAbs(limit) > 0 {
			return false
		}
		seen[p.Account] = true
		if sums[a.Asset] == nil {
			sums[a.Asset] = new(big.Int)
		}
		if sums[a.Asset].Add(sums[a.Asset], toBig(p.Amount)).CmpAbs(limit) > 0 {
			return false
		}
	}
	for _, sum := range sums {
		if sum.Sign() != 0 {
			return false
		}
	}
	return len(postings) >= 2
}

func toBig(a Amount) *big.Int {
	n, _ := new(big.Int).SetString(a.String(), 10)
	return n
}

// falsified fails in the same words whatever the figures, since rapid makes a
// failing run shorter only as long as it fails alike.
func falsified(t *rapid.T, format string, args ...any) {
	t.Helper()
	t.Logf(format, args...)
	t.Fatal(format)
}

func TestABatchAcceptsExactlyWhatTheRulesPermit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := testBatch()
		start := map[AccountID]Account{}
		for id, a := range b.accounts {
			start[id] = a.Account
		}
		keys := map[string]bool{}
		for i := range rapid.IntRange(1, 20).Draw(t, "commands") {
			postings := drawPostings(t, len(start))
			key := fmt.Sprint(rapid.IntRange(0, 12).Draw(t, "key"))
			used := keys[key]
			want, before := permitted(b, postings), snapshot(b)
			v := b.decide(testCommand(key, postings...))
			switch {
			case used && (v.err != nil || !v.replayed || snapshot(b) != before):
				falsified(t, "command %d with the used key %s: %+v", i, key, v)
			case !used && want != (v.err == nil):
				falsified(t, "command %d, %v: refused with %v, permitted is %v", i, postings, v.err, want)
			case v.err != nil && snapshot(b) != before:
				falsified(t, "command %d was refused and changed the books", i)
			case v.err == nil && !used:
				keys[key] = true
			}
		}
		checkMade(t, b, start, len(keys))
	})
}

// checkMade follows the entries of a batch from where the accounts started.
func checkMade(t *rapid.T, b *batch, now map[AccountID]Account, executed int) {
	if len(b.made) != executed {
		falsified(t, "%d transactions for %d keys", len(b.made), executed)
	}
	var touched []AccountID
	for i, transaction := range b.made {
		if !transaction.CreateTime.Equal(b.now) || i > 0 && slices.Compare(b.made[i-1].ID[:], transaction.ID[:]) >= 0 {
			falsified(t, "transaction %d: time %v, id %s", i, transaction.CreateTime, transaction.ID)
		}
		sums := map[AssetID]*big.Int{1: new(big.Int), 2: new(big.Int)}
		for _, e := range transaction.Entries {
			a := now[e.Account]
			sum, err := a.Balance.Add(e.Amount)
			if err != nil || e.Balance != sum || e.Version != a.Version+1 || e.Code != a.Code || e.Asset != a.Asset {
				falsified(t, "entry %+v follows %+v", e, a)
			}
			a.Balance, a.Version = e.Balance, e.Version
			now[e.Account] = a
			touched = append(touched, e.Account)
			sums[e.Asset].Add(sums[e.Asset], toBig(e.Amount))
		}
		if sums[1].Sign() != 0 || sums[2].Sign() != 0 {
			falsified(t, "transaction %d sums to %v", i, sums)
		}
	}
	for id, a := range b.accounts {
		want := now[id]
		if a.Balance != want.Balance || a.Version != want.Version || a.changed != slices.Contains(touched, id) {
			falsified(t, "account %d is left as %+v, its entries say %+v", id, a, want)
		}
		if a.Floor != nil && a.Balance.Cmp(*a.Floor) < 0 {
			falsified(t, "account %d is below its floor: %s", id, a.Balance)
		}
	}
}
