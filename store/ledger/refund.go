package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store/audit"
)

// Errors of refunds.
var (
	// ErrNotRefundable says that a transaction can't be given back, or not in
	// part: it is itself a refund, a reversal or a repayment, or has more than
	// two entries.
	ErrNotRefundable = errors.New("the transaction can't be refunded like this")
	// ErrRefundExceeded says that more was to be given back than there is left.
	ErrRefundExceeded = errors.New("the refund exceeds what is left of the transaction")
)

// Refund says what to give back of a transaction.
type Refund struct {
	Original uuid.UUID
	// Amount is in the asset of the original's first entry; zero for all that
	// is left. A part can only be given back of a transaction with two entries.
	Amount  Amount
	Kind    Kind // KindRefund or KindReversal
	Note    string
	Details json.RawMessage
	// Receivable lets the refund go through although who pays back lacks the
	// funds: what is missing is owed by an account of its own, and repaid from
	// what comes in later, before anything else.
	Receivable bool
	// From are the accounts that it is taken from, one after the other, each as far
	// as it has funds and the last one for the rest. The account of the original's
	// first entry, which must have paid, gets it. So a part can be given back of any
	// transaction. Empty for those who received it, with no Receivable otherwise.
	From   []AccountID
	Events []Event // told in the same commit
	Audit  *audit.Record
}

// RefundPart is the decision to give back a part of Command.Original.
type RefundPart struct {
	Amount Amount
	// Last is true if nothing is left after it.
	Last bool
	// OutgoingTime and IncomingTime are when the original counted against limits;
	// the zero time if it never did.
	OutgoingTime, IncomingTime time.Time

	original *Transaction
	meter    AccountID // that counted the original; 0 for none
	debts    []debtLink
}

// debtLink says which account owes what an account's owner can't pay back.
type debtLink struct{ account, receivable AccountID }

// neverCounted is stored for an original that no counter knows.
var neverCounted = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)

// Refund gives back a transaction or a part of it, never more in all than the
// original. It fails with ErrTransactionNotFound, ErrNotRefundable,
// ErrRefundExceeded or ErrInsufficientFunds.
func (l *Ledger) Refund(ctx context.Context, who Identity, r Refund) (Result, error) {
	plan := refundPlan{refund: r}
	if err := l.lookUp(ctx, func(ctx context.Context) error { return l.prepare(ctx, &plan) }); err != nil {
		return Result{}, err
	}
	command := Command{
		Key: who.Key, Fingerprint: who.Fingerprint, Kind: r.Kind, Original: r.Original, Decide: plan.decide,
	}
	for _, e := range plan.original.Entries {
		command.Accounts = append(command.Accounts, e.Account)
	}
	for _, d := range plan.debts {
		command.Accounts = append(command.Accounts, d.receivable)
	}
	command.Accounts = append(command.Accounts, r.From...)
	if plan.meter != 0 {
		command.Accounts = append(command.Accounts, plan.meter)
	}
	return l.Commit(ctx, command)
}

// refundPlan is a refund and what is known of its original, which never changes.
type refundPlan struct {
	refund             Refund
	original           Transaction
	outgoing, incoming time.Time
	meter              AccountID // that counted the original; 0 for none
	debts              []debtLink
}

// prepare finds out about the original.
func (l *Ledger) prepare(ctx context.Context, p *refundPlan) (err error) {
	if p.original, err = l.Transaction(ctx, p.refund.Original); err != nil {
		return err
	}
	if p.outgoing, p.incoming, err = l.countedTimes(ctx, &p.original); err != nil {
		return err
	}
	if p.meter, err = l.meterOfTransaction(ctx, p.original.ID); err != nil {
		return err
	}
	if p.refund.Receivable && len(p.refund.From) == 0 {
		p.debts, err = l.openReceivables(ctx, &p.original)
	}
	return err
}

func (p *refundPlan) decide(v View) (Draft, error) {
	switch p.original.Kind {
	case KindRefund, KindReversal, KindRepayment:
		return Draft{}, fmt.Errorf("%w: it is a %s", ErrNotRefundable, p.original.Kind)
	}
	whole := p.original.Entries[0].Amount.Abs()
	left, err := whole.Sub(v.Refunded())
	if err != nil || left.Sign() <= 0 {
		return Draft{}, ErrRefundExceeded
	}
	amount := p.refund.Amount
	switch {
	case amount.IsZero():
		amount = left
	case amount.Sign() < 0 || amount.Cmp(left) > 0:
		return Draft{}, ErrRefundExceeded
	}
	if len(p.original.Entries) > 2 && amount != whole && len(p.refund.From) == 0 {
		return Draft{}, fmt.Errorf("%w: it has %d entries, so only the whole of it", ErrNotRefundable, len(p.original.Entries))
	}
	part := &RefundPart{
		Amount: amount, Last: amount == left, OutgoingTime: p.outgoing, IncomingTime: p.incoming, original: &p.original, meter: p.meter,
	}
	d := Draft{
		Note: p.refund.Note, Details: p.refund.Details, Refund: part, Events: p.refund.Events, Audit: p.refund.Audit,
	}
	if len(p.refund.From) > 0 {
		d.Postings, err = p.take(v, amount)
		return d, err
	}
	for _, e := range p.original.Entries {
		back := e.Amount.Neg()
		if len(p.original.Entries) == 2 {
			back = amount
			if e.Amount.Sign() > 0 {
				back = amount.Neg()
			}
		}
		d.Postings = p.post(v, d.Postings, part, Posting{e.Account, back})
	}
	return d, nil
}

// take returns the postings of a refund that the accounts of From pay.
func (p *refundPlan) take(v View, amount Amount) ([]Posting, error) {
	first := p.original.Entries[0]
	if first.Amount.Sign() > 0 {
		return nil, fmt.Errorf("%w: its first entry is a credit", ErrNotRefundable)
	}
	list := []Posting{{first.Account, amount}}
	left := amount
	for i, from := range p.refund.From {
		part := left
		if a := v.Account(from); i < len(p.refund.From)-1 && a.Floor != nil && a.Available().Cmp(left) < 0 {
			part = a.Available()
		}
		if part.Sign() <= 0 {
			continue
		}
		var err error
		if left, err = left.Sub(part); err != nil {
			return nil, err
		}
		list = append(list, Posting{from, part.Neg()})
	}
	return list, nil
}

// post adds a posting, or, as far as the account lacks the funds and there is one
// that may owe them, two.
func (p *refundPlan) post(v View, list []Posting, part *RefundPart, posting Posting) []Posting {
	for _, d := range p.debts {
		if d.account != posting.Account || posting.Amount.Sign() > 0 {
			continue
		}
		a := v.Account(d.account)
		available := a.Available()
		if a.Floor == nil || available.Cmp(posting.Amount.Neg()) >= 0 {
			break
		}
		owed, err := posting.Amount.Add(available)
		if err != nil {
			break
		}
		part.debts = append(part.debts, d)
		if list, err = owe(list, Posting{d.receivable, owed}); err != nil {
			break
		}
		posting.Amount = available.Neg()
	}
	if posting.Amount.IsZero() {
		return list
	}
	return append(list, posting)
}

// owe adds a debt to one of the same owner, if there is one.
func owe(list []Posting, debt Posting) ([]Posting, error) {
	for i := range list {
		if list[i].Account == debt.Account {
			sum, err := list[i].Amount.Add(debt.Amount)
			if err == nil {
				list[i].Amount = sum
			}
			return list, err
		}
	}
	return append(list, debt), nil
}

// givesBack is what a refund gives back to an account's counters.
func (r *RefundPart) givesBack(list []charge, account AccountID) []charge {
	e, ok := r.original.EntryOf(account)
	if !ok {
		return list
	}
	// What the others got of a transaction with several is given back with the last
	// part of it.
	c := charge{amount: r.Amount.Neg()}
	if len(r.original.Entries) > 2 && account != r.original.Entries[0].Account {
		if !r.Last {
			return list
		}
		c.amount = e.Amount.Abs().Neg()
	}
	if r.Last {
		c.number = -1
	}
	c.direction, c.at = Incoming, r.IncomingTime
	if e.Amount.Sign() < 0 {
		c.direction, c.at = Outgoing, r.OutgoingTime
		if r.original.Kind == KindCapture {
			c.number = 0 // the hold counted once, whatever was captured of it
		}
	}
	if c.at.Equal(neverCounted) {
		return list
	}
	return append(list, c)
}

// countedTimes tells when a transaction counted. What was captured counts as
// outgoing since it was held.
func (l *Ledger) countedTimes(ctx context.Context, t *Transaction) (outgoing, incoming time.Time, err error) {
	outgoing, incoming = neverCounted, neverCounted
	if t.Counted {
		outgoing, incoming = t.CreateTime, t.CreateTime
	}
	if t.Kind != KindCapture {
		return outgoing, incoming, nil
	}
	err = l.pool.QueryRow(ctx, `
SELECT h.create_time FROM hold_operations o JOIN holds h ON h.id = o.hold_id WHERE o.transaction_id = $1`, t.ID).Scan(&outgoing)
	if err != nil {
		return outgoing, incoming, fmt.Errorf("finding the hold of a capture: %w", err)
	}
	return outgoing, incoming, nil
}

// openReceivables opens the accounts that may owe what those who received lack.
// Only accounts of owners can: "user/<id>/main/USD" owes by "receivable/<id>/USD".
func (l *Ledger) openReceivables(ctx context.Context, t *Transaction) ([]debtLink, error) {
	var links []debtLink
	for _, e := range t.Entries {
		parts := strings.Split(e.Code, "/")
		if e.Amount.Sign() < 0 || !limited(e.Code) || len(parts) < 3 {
			continue
		}
		asset, err := l.AssetByID(ctx, e.Asset)
		if err != nil {
			return nil, err
		}
		receivable, err := l.OpenAccount(ctx, AccountSpec{
			Code: ReceivableCode(parts[1], asset.Code), Asset: e.Asset, Unbounded: true,
		})
		if err != nil {
			return nil, err
		}
		links = append(links, debtLink{e.Account, receivable})
	}
	return links, nil
}

// ReceivableCode is the code of the account that says what an owner, such as
// "usr_…", owes of an asset: its balance is zero or below.
func ReceivableCode(owner, asset string) string { return "receivable/" + owner + "/" + asset }

// RefundState is what was given back of a transaction, or what it gives back.
type RefundState struct {
	Original uuid.UUID   // the transaction that this one gives back; zero if none
	Refunded Amount      // what was given back of this one
	Refunds  []uuid.UUID // by these
}

// A statement for one transaction keeps its plan; one for a list is planned anew each
// time, which costs more than running it.
const (
	selectRefunds = `
SELECT transaction_id, original_id, amount FROM refunds
 WHERE transaction_id = ANY ($1) OR original_id = ANY ($1) ORDER BY transaction_id`

	selectRefundsOfOne = `
SELECT transaction_id, original_id, amount FROM refunds
 WHERE transaction_id = $1 OR original_id = $1 ORDER BY transaction_id`
)

// RefundStates returns the states of those of the transactions that have any.
func (l *Ledger) RefundStates(ctx context.Context, transactions []uuid.UUID) (map[uuid.UUID]RefundState, error) {
	query, of := selectRefunds, any(transactions)
	if len(transactions) == 1 {
		query, of = selectRefundsOfOne, transactions[0]
	}
	rows, err := l.pool.Query(ctx, query, of)
	if err != nil {
		return nil, fmt.Errorf("reading refunds: %w", err)
	}
	states := make(map[uuid.UUID]RefundState)
	var refund, original uuid.UUID
	var amount Amount
	_, err = pgx.ForEachRow(rows, []any{&refund, &original, &amount}, func() error {
		of := states[refund]
		of.Original = original
		states[refund] = of
		by := states[original]
		by.Refunds = append(by.Refunds, refund)
		sum, err := by.Refunded.Add(amount)
		by.Refunded = sum
		states[original] = by
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading refunds: %w", err)
	}
	return states, nil
}
