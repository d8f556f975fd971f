package checkout

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// captureLife is how long what was authorized can be captured, by default.
const captureLife = 7 * 24 * time.Hour

// Payment is a customer's request to pay a checkout.
type Payment struct {
	User     uuid.UUID
	Key      string // the idempotency key
	Checkout string // the id
	Tip      *moneyv1.Money
}

// Pay pays a checkout or, if it is to be captured later, authorizes it: then there is
// no transaction. It fails with NOT_FOUND, CHECKOUT_CLOSED, CHECKOUT_EXPIRED,
// TIP_NOT_ALLOWED, SELF_TRANSFER and as a transfer does.
func (d *Desk) Pay(ctx context.Context, p *Payment) (*Checkout, *ledger.Transaction, error) {
	c, err := d.Get(ctx, Scope{}, p.Checkout)
	if err != nil {
		return nil, nil, err
	}
	if c.row.OwnerID == p.User {
		return nil, nil, errOwn
	}
	tip, err := d.tip(ctx, c, p.Tip)
	if err != nil {
		return nil, nil, err
	}
	total, err := c.Amount.Add(tip)
	if err != nil {
		return nil, nil, err
	}
	o := &order{
		who: ledger.Identity{
			Key:         ledger.NewKey(money.UserScope(p.User), p.Key),
			Fingerprint: ledger.Fingerprint("pay checkout", p.Checkout, tip.String()),
		},
		payer: p.User, total: total, deadline: c.row.ExpireTime,
		limit: func(err error) error { return money.ExplainLimit(ctx, d.ledger, err) },
	}
	t, err := d.take(ctx, c, o)
	if err != nil {
		return nil, nil, err
	}
	if c, err = d.get(ctx, Scope{}, c.ID); err != nil {
		return nil, nil, executed(err)
	}
	return c, t, nil
}

// tip reads what is given on top.
func (d *Desk) tip(ctx context.Context, c *Checkout, m *moneyv1.Money) (ledger.Amount, error) {
	if m == nil {
		return ledger.Amount{}, nil
	}
	tip, err := money.Parse(ctx, d.ledger, m, "tip")
	switch {
	case err != nil:
		return ledger.Amount{}, err
	case tip.Asset.ID != c.Asset.ID:
		return ledger.Amount{}, ledger.ErrAccountAsset
	case tip.Amount.Sign() < 0, tip.Amount.Cmp(c.Amount) > 0, !tip.Amount.IsZero() && !c.row.TipAllowed:
		return ledger.Amount{}, errTip
	}
	return tip.Amount, nil
}

// order is a payment after everything about it was resolved.
type order struct {
	who      ledger.Identity
	payer    uuid.UUID
	total    ledger.Amount // tip included
	code     uuid.UUID     // the payment code that it uses up; zero for none
	deadline time.Time     // when the checkout, or the code if earlier, expires
	refusal  error         // why it is refused, unless it was executed before

	limit func(error) error // what to say of a limit of the payer's
}

// take moves a customer's money, or sets it aside.
func (d *Desk) take(ctx context.Context, c *Checkout, o *order) (*ledger.Transaction, error) {
	command, err := d.command(ctx, c, o)
	if err != nil {
		return nil, err
	}
	r, err := d.ledger.Commit(ctx, command)
	if err != nil {
		return nil, d.explain(ctx, c, o, err)
	}
	if r.Transaction.ID == uuid.Nil {
		return nil, nil
	}
	d.paid.add(c.ID)
	return &r.Transaction, nil
}

func (d *Desk) command(ctx context.Context, c *Checkout, o *order) (ledger.Command, error) {
	payer, _, err := d.ledger.LookupAccount(ctx, money.UserAccount(o.payer, c.Asset))
	if errors.Is(err, ledger.ErrAccountNotFound) && o.refusal == nil {
		o.refusal, err = ledger.ErrInsufficientFunds, nil
	}
	if o.refusal != nil {
		// The committer has the last word all the same: the key may have been used
		// before, and that is then the answer.
		return ledger.Command{
			Key: o.who.Key, Fingerprint: o.who.Fingerprint,
			Decide: func(ledger.View) (ledger.Draft, error) { return ledger.Draft{}, o.refusal },
		}, nil
	}
	if err != nil {
		return ledger.Command{}, err
	}
	subjects := []uuid.UUID{c.ID}
	if o.code != uuid.Nil {
		subjects = append(subjects, o.code)
	}
	if c.row.Capture == int16(checkoutv1.CaptureMode_CAPTURE_MODE_MANUAL) {
		return ledger.HoldCommand(o.who, ledger.NewHold{
			ID: c.ID, Account: payer, Amount: o.total, Reference: c.row.MerchantName, ExpireTime: d.now().Add(d.held),
			Subjects: subjects, Outcome: outcomeAuthorized, Deadline: o.deadline, Events: c.events(Authorize),
		}), nil
	}
	credits, err := d.credits(ctx, c, o.total)
	if err != nil {
		return ledger.Command{}, err
	}
	draft := ledger.Draft{
		Postings: append([]ledger.Posting{{Account: payer, Amount: o.total.Neg()}}, credits...),
		Note:     c.row.Reference, Outcome: outcomeSucceeded, Events: c.events(Succeed),
	}
	command := ledger.Command{
		Key: o.who.Key, Fingerprint: o.who.Fingerprint, Kind: ledger.KindPurchase, Counted: true, Meter: c.meter(),
		Subjects: subjects, Deadline: o.deadline,
		Decide: func(ledger.View) (ledger.Draft, error) { return draft, nil },
	}
	for _, p := range draft.Postings {
		command.Accounts = append(command.Accounts, p.Account)
	}
	return command, nil
}

// credits are where a total goes: first to the merchant, then to Tillbook, and to
// neither if its part is nothing.
func (d *Desk) credits(ctx context.Context, c *Checkout, total ledger.Amount) ([]ledger.Posting, error) {
	fee, net := c.Rate.Split(total)
	var list []ledger.Posting
	for _, part := range []struct {
		amount ledger.Amount
		spec   ledger.AccountSpec
	}{
		{net, ledger.AccountSpec{Code: money.MerchantPending(c.Merchant, c.Asset), Asset: c.Asset.ID}},
		{fee, ledger.AccountSpec{Code: money.FeesAccount(c.Asset), Asset: c.Asset.ID, Unbounded: true}},
	} {
		if part.amount.IsZero() {
			continue
		}
		account, err := d.ledger.OpenAccount(ctx, part.spec)
		if err != nil {
			return nil, err
		}
		list = append(list, ledger.Posting{Account: account, Amount: part.amount})
	}
	return list, nil
}

// explain says why a payment was refused. Of the merchant's limits a customer learns
// no more than that there is one.
func (d *Desk) explain(ctx context.Context, c *Checkout, o *order, err error) error {
	if resolved, ok := errors.AsType[*ledger.ResolvedError](err); ok {
		if resolved.Subject == o.code {
			return errCode.WithCause(err)
		}
		return d.closed(ctx, c.ID, err)
	}
	if errors.Is(err, ledger.ErrExpired) {
		if o.deadline.Before(c.row.ExpireTime) {
			return errCode.WithCause(err)
		}
		return errExpired.WithCause(err)
	}
	if limit, ok := errors.AsType[*ledger.LimitError](err); ok {
		if payer, isUser := money.OwnerOf(limit.Code); !isUser || payer != o.payer {
			return errPayee.WithCause(err)
		}
		return o.limit(err)
	}
	return err
}

// closed says how a checkout ended.
func (d *Desk) closed(ctx context.Context, checkout uuid.UUID, cause error) error {
	c, err := d.get(ctx, Scope{}, checkout)
	if err != nil {
		return err
	}
	if c.State == Expired {
		return errExpired.WithCause(cause)
	}
	return errClosed(c.State).WithCause(cause)
}

// meter is whose limits count a sale although its money goes past them: those of its
// terminal, if it has one.
func (c *Checkout) meter() string {
	if c.row.TerminalID == nil {
		return ""
	}
	return money.TerminalScope(*c.row.TerminalID)
}

// name is the checkout's id as clients write it.
func (c *Checkout) name() string { return id.Format(id.Checkout, c.ID) }
