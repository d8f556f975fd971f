package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// The batch under test starts from two assets with an account for the outside
// world each (numbers 1 and 2) and a few with floor 0 (3 and up).
var testTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func testAccount(id AccountID, asset AssetID, balance int64, bounded bool) Account {
	a := Account{
		ID: id, Code: fmt.Sprintf("user/%d/main", id), Asset: asset, Balance: NewAmount(balance),
		Version: 3, LastTime: testTime.Add(-time.Hour),
	}
	if bounded {
		a.Floor = new(Amount)
	}
	return a
}

func testBatch() *batch {
	return newBatch(locked(
		testAccount(1, 1, -300, false), testAccount(2, 2, 0, false),
		testAccount(3, 1, 100, true), testAccount(4, 1, 200, true), testAccount(5, 2, 0, true),
	), map[Key]executedKey{}, testTime)
}

func locked(accounts ...Account) []lockedAccount {
	rows := make([]lockedAccount, len(accounts))
	for i, a := range accounts {
		rows[i].Account = a
	}
	return rows
}

func testCommand(key string, postings ...Posting) *Command {
	c := &Command{Key: NewKey("test", key), Fingerprint: Fingerprint(key), Kind: KindTransfer}
	for _, p := range postings {
		c.Accounts = append(c.Accounts, p.Account)
	}
	c.Decide = func(View) (Draft, error) { return Draft{Postings: postings}, nil }
	return c
}

func move(from, to AccountID, amount int64) []Posting {
	return []Posting{{from, NewAmount(-amount)}, {to, NewAmount(amount)}}
}

func TestEachRuleRefusesWhatBreaksItAndMovesNothing(t *testing.T) {
	most := Amount{v: maxAmount}
	unnamed := testCommand("unnamed", move(3, 4, 1)...)
	unnamed.Accounts = []AccountID{3}
	looks := testCommand("looks", move(3, 4, 1)...)
	looks.Decide = func(v View) (Draft, error) { v.Account(5); return Draft{Postings: move(3, 4, 1)}, nil }
	panics := testCommand("panics", move(3, 4, 1)...)
	panics.Decide = func(View) (Draft, error) { panic("boom") }
	undecided := testCommand("undecided", move(3, 4, 1)...)
	undecided.Decide = nil
	own := errors.New("the shop is closed")
	declines := testCommand("declines", move(3, 4, 1)...)
	declines.Decide = func(View) (Draft, error) { return Draft{Postings: move(3, 4, 1)}, own }
	many := testCommand("many", slices.Repeat(move(3, 4, 1), MaxPostings/2+1)...)

	for name, c := range map[string]struct {
		command *Command
		want    error  // by errors.Is
		says    string // or by its words
	}{
		"a cent more than there is":       {testCommand("k", move(3, 4, 101)...), ErrInsufficientFunds, ""},
		"one asset paid with another":     {testCommand("k", move(3, 5, 1)...), ErrUnbalanced, "off by -1"},
		"more taken than given":           {testCommand("k", Posting{3, NewAmount(-2)}, Posting{4, NewAmount(1)}), ErrUnbalanced, "off by -1"},
		"a balanced and another asset":    {testCommand("k", append(move(3, 4, 1), Posting{5, NewAmount(1)})...), ErrUnbalanced, "off by 1"},
		"no postings":                     {testCommand("k"), ErrUnbalanced, "0 postings"},
		"a single posting":                {testCommand("k", Posting{4, NewAmount(1)}), ErrUnbalanced, "1 postings"},
		"too many postings":               {many, ErrUnbalanced, "102 postings"},
		"a zero among the postings":       {testCommand("k", append(move(3, 4, 1), Posting{1, Amount{}})...), ErrUnbalanced, "zero amount"},
		"an account twice":                {testCommand("k", append(move(3, 4, 1), move(3, 1, 1)...)...), ErrUnbalanced, "appears twice"},
		"an account paying itself":        {testCommand("k", move(3, 3, 1)...), ErrUnbalanced, "appears twice"},
		"a balance of 39 digits":          {testCommand("k", Posting{1, most.Neg()}, Posting{3, most}), ErrAmountRange, ""},
		"an account that does not exist":  {testCommand("k", move(3, 99, 1)...), ErrAccountNotFound, "number 99"},
		"a posting to an unnamed account": {unnamed, nil, "did not name"},
		"a look at an unnamed account":    {looks, nil, "did not name"},
		"a decision that panics":          {panics, nil, "panicked: boom"},
		"a command without decision":      {undecided, nil, "panicked"},
		"a decision that declines":        {declines, own, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := testBatch()
			before := snapshot(b)
			err := b.decide(c.command).err
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("refused with %v; want %v saying %q", err, c.want, c.says)
			}
			if after := snapshot(b); after != before || len(b.made) != 0 || len(b.keys) != 0 {
				t.Errorf("left %s, was %s; made %d, remembers %d keys", after, before, len(b.made), len(b.keys))
			}
			if v := b.decide(testCommand("next", move(3, 4, 100)...)); v.err != nil {
				t.Errorf("the next command was refused: %v", v.err)
			}
		})
	}
}

func snapshot(b *batch) string {
	var lines []string
	for id, a := range b.accounts {
		lines = append(lines, fmt.Sprintf("%d: %s at %d, %v, %v", id, a.Balance, a.Version, a.LastTime, a.changed))
	}
	slices.Sort(lines)
	return strings.Join(lines, "; ")
}

func TestAsManyPostingsAsAllowedAreAccepted(t *testing.T) {
	var accounts []Account
	var postings []Posting
	for id := AccountID(1); id <= MaxPostings; id++ {
		accounts = append(accounts, testAccount(id, 1, 0, false))
		postings = append(postings, Posting{id, NewAmount(int64(id%2)*2 - 1)})
	}
	b := newBatch(locked(accounts...), map[Key]executedKey{}, testTime)
	if v := b.decide(testCommand("k", postings...)); v.err != nil || len(b.made[0].Entries) != MaxPostings {
		t.Errorf("%d postings: %v", len(postings), v.err)
	}
}

func TestAFloorBoundsWhatIsAvailableNotTheBalance(t *testing.T) {
	account := testAccount(3, 1, 100, true)
	account.Held = NewAmount(60)
	b := newBatch(locked(testAccount(1, 1, 0, false), account), map[Key]executedKey{}, testTime)
	if err := b.decide(testCommand("too much", move(3, 1, 41)...)).err; !errors.Is(err, ErrInsufficientFunds) {
		t.Errorf("paying with held money: %v", err)
	}
	if err := b.decide(testCommand("all of it", move(3, 1, 40)...)).err; err != nil {
		t.Errorf("paying all that is available: %v", err)
	}
}

func TestAKeyIsReplayedWithinItsBatchAndRefusedForAnotherRequest(t *testing.T) {
	b := testBatch()
	earlier := executedKey{transaction: uuid.New(), fingerprint: Fingerprint("earlier")}
	b.keys[NewKey("test", "earlier")] = earlier
	if v := b.decide(testCommand("earlier", move(3, 4, 1)...)); v.err != nil || v.replay != earlier {
		t.Errorf("a key executed by an earlier batch: %+v", v)
	}
	first := b.decide(testCommand("k", move(3, 4, 70)...))
	if first.err != nil || first.replayed {
		t.Fatalf("first use: %+v", first)
	}
	again := testCommand("k", move(3, 4, 70)...)
	again.Decide = func(View) (Draft, error) { t.Error("an executed command was decided again"); return Draft{}, nil }
	if v := b.decide(again); v.err != nil || v.replay.transaction != b.made[first.made].ID {
		t.Errorf("second use: %+v, want a replay of %s", v, b.made[first.made].ID)
	}
	again.Fingerprint = Fingerprint("another request")
	if v := b.decide(again); !errors.Is(v.err, ErrKeyReused) {
		t.Errorf("use for another request: %+v", v)
	}
	if got := b.accounts[3].Balance; got != NewAmount(30) {
		t.Errorf("balance %s after one execution, want 30", got)
	}
}

func TestARefusedKeyMayBeTriedAgain(t *testing.T) {
	b := testBatch()
	c := testCommand("k", move(5, 2, 10)...)
	if err := b.decide(c).err; !errors.Is(err, ErrInsufficientFunds) {
		t.Fatalf("first try: %v", err)
	}
	if err := b.decide(testCommand("fund", move(2, 5, 10)...)).err; err != nil {
		t.Fatal(err)
	}
	if v := b.decide(c); v.err != nil || v.replayed {
		t.Errorf("once it is funded: %+v", v)
	}
}

func TestCommandsSeeWhatThoseBeforeThemDid(t *testing.T) {
	b := testBatch()
	for i := range 5 {
		c := testCommand(fmt.Sprint(i), move(3, 4, 20)...)
		c.Decide = func(v View) (Draft, error) {
			from := v.Account(3)
			if want := NewAmount(int64(100 - 20*i)); from.Balance != want || from.Available() != want || from.Version != int64(3+i) {
				return Draft{}, fmt.Errorf("sees %s at version %d", from.Balance, from.Version)
			}
			return Draft{Postings: move(3, 4, 20)}, nil
		}
		if err := b.decide(c).err; err != nil {
			t.Errorf("command %d: %v", i, err)
		}
	}
	if err := b.decide(testCommand("over", move(3, 4, 1)...)).err; !errors.Is(err, ErrInsufficientFunds) {
		t.Errorf("when all is spent: %v", err)
	}
}

func TestTheTimeOfABatchLiesBehindEveryEntryBeforeIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var accounts []Account
		for id := range rapid.IntRange(0, 6).Draw(t, "accounts") {
			a := testAccount(AccountID(id+1), 1, 0, false)
			a.LastTime = testTime.Add(time.Duration(rapid.Int64Range(-3, 3).Draw(t, "µs")) * time.Microsecond)
			if rapid.Bool().Draw(t, "never used") {
				a.LastTime = time.Time{}
			}
			accounts = append(accounts, a)
		}
		b := newBatch(locked(accounts...), nil, testTime)
		if b.now.Before(testTime) || b.now.After(testTime.Add(4*time.Microsecond)) {
			t.Errorf("a batch at %v got the time %v", testTime, b.now)
		}
		for _, a := range accounts {
			if !b.now.After(a.LastTime) {
				t.Errorf("a batch at %v follows an entry of %v", b.now, a.LastTime)
			}
		}
	})
}

func TestIDsOfABatchAreConsecutiveAndOfItsTime(t *testing.T) {
	s := newIDSequence(testTime)
	first := s.next()
	number := func(u uuid.UUID) *big.Int { return new(big.Int).SetBytes(u[:]) }
	want := number(first)
	for range 4096 { // the largest batch
		id := s.next()
		if want.Add(want, big.NewInt(1)); number(id).Cmp(want) != 0 {
			t.Fatalf("%s comes %s after the first", id, want.Sub(number(id), number(first)))
		}
		if id.Version() != 7 || id.Variant() != uuid.RFC4122 || binary.BigEndian.Uint64(id[:])>>16 != uint64(testTime.UnixMilli()) {
			t.Fatalf("%s is no UUIDv7 of %v", id, testTime)
		}
	}
	if binary.BigEndian.Uint16(first[6:])&0xffc != 0 {
		t.Errorf("%s is not of cell 0", first)
	}
	other := newIDSequence(testTime)
	if id := other.next(); number(id).Cmp(number(first)) >= 0 && number(id).Cmp(want) <= 0 {
		t.Errorf("another batch of the same moment begins with %s, inside of this one", id)
	}
}
