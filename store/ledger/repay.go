package ledger

import (
	"strconv"

	"github.com/google/uuid"
)

// debt is what an account's owner owes and could repay from what came in.
type debt struct {
	account, receivable *lockedAccount
	credit              Amount // what came in
}

// debts finds what entries can repay. It tells an account that has to be locked
// for that and isn't.
func (b *batch) debts(entries []Entry) (list []debt, lacks AccountID) {
	for i := range entries {
		e := &entries[i]
		a := b.accounts[e.Account]
		if e.Amount.Sign() < 0 || a.receivable == 0 {
			continue
		}
		r := b.accounts[a.receivable]
		if r == nil {
			return nil, a.receivable
		}
		if r.Balance.Sign() < 0 {
			list = append(list, debt{a, r, e.Amount})
		}
	}
	return list, 0
}

// repay makes a transaction for each debt, behind the one that brought money in.
// The books then show both what came in and where it went.
func (b *batch) repay(debts []debt, cause verdict) {
	for _, d := range debts {
		amount := d.credit.Min(d.receivable.Balance.Neg()).Min(d.account.Available())
		if amount.Sign() <= 0 {
			continue
		}
		at := b.made[cause.made].CreateTime
		if at.Before(d.receivable.LastTime) { // of an import
			at = d.receivable.LastTime
		}
		entries := []Entry{
			nextEntry(d.account, amount.Neg()),
			nextEntry(d.receivable, amount),
		}
		t := Transaction{ID: b.ids.next(), Kind: KindRepayment, CreateTime: at, Entries: entries}
		key := repaymentKey(b.made[cause.made].ID, d.account.ID)
		b.post(entries, at)
		b.keys[key] = executedKey{transaction: t.ID}
		b.made = append(b.made, made{Transaction: t, key: key})
	}
}

// nextEntry is the entry that an amount makes which the account can bear.
func nextEntry(a *lockedAccount, amount Amount) Entry {
	after, err := a.Balance.Add(amount)
	if err != nil {
		panic("ledger: a repayment exceeds 38 digits") // it brings both balances closer to zero
	}
	return Entry{Account: a.ID, Code: a.Code, Asset: a.Asset, Version: a.Version + 1, Amount: amount, Balance: after}
}

func repaymentKey(cause uuid.UUID, account AccountID) Key {
	return NewKey("repayment", cause.String()+" "+strconv.FormatInt(int64(account), 10))
}
