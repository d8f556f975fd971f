package checkout

import (
	"context"
	"errors"

	"github.com/google/uuid"

	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/store/ledger"
)

// Change is a merchant's request to capture a checkout, or to give it back.
type Change struct {
	By       Caller
	Key      string // the idempotency key
	Merchant uuid.UUID
	Checkout string         // the id
	Amount   *moneyv1.Money // nil for all that there is
}

func (r *Change) identity(what, amount string) ledger.Identity {
	return ledger.Identity{
		Key:         ledger.NewKey(r.By.scope(), r.Key),
		Fingerprint: ledger.Fingerprint(what, r.Checkout, amount),
	}
}

// amount reads what the request says; zero and "all" if it doesn't.
func (d *Desk) amount(ctx context.Context, c *Checkout, m *moneyv1.Money) (ledger.Amount, string, error) {
	if m == nil {
		return ledger.Amount{}, "all", nil
	}
	value, err := money.ParsePositive(ctx, d.ledger, m, "amount")
	if err != nil {
		return ledger.Amount{}, "", err
	}
	if value.Asset.ID != c.Asset.ID {
		return ledger.Amount{}, "", ledger.ErrAccountAsset
	}
	return value.Amount, value.Amount.String(), nil
}

// Capture takes the money of an authorized checkout, or a part of it; what isn't
// captured is the customer's again. It fails with NOT_FOUND, CHECKOUT_NOT_AUTHORIZED,
// CHECKOUT_CLOSED, HOLD_EXPIRED, HOLD_EXCEEDED, AMOUNT_NOT_POSITIVE,
// AMOUNT_TOO_PRECISE, AMOUNT_OUT_OF_RANGE, ACCOUNT_ASSET_MISMATCH,
// IDEMPOTENCY_KEY_REUSED, OVERLOADED or OUTCOME_UNKNOWN.
func (d *Desk) Capture(ctx context.Context, r *Change) (*Checkout, error) {
	in := Scope{Merchant: r.Merchant}
	c, err := d.Get(ctx, in, r.Checkout)
	if err != nil {
		return nil, err
	}
	amount, said, err := d.amount(ctx, c, r.Amount)
	switch {
	case err != nil:
		return nil, err
	case c.row.HoldAccount == nil && open(c.State):
		return nil, errNotAuthorized
	case c.row.HoldAccount == nil:
		return nil, errClosed(c.State)
	case amount.IsZero():
		amount, err = ledger.ParseDecimal(c.row.Held, 0)
	}
	if err != nil {
		return nil, err
	}
	credits, err := d.credits(ctx, c, amount)
	if err != nil {
		return nil, err
	}
	_, err = d.ledger.Commit(ctx, ledger.CaptureCommand(r.identity("capture checkout", said), ledger.AccountID(*c.row.HoldAccount), ledger.Capture{
		Hold: c.ID, Credits: credits, Final: true, Meter: c.meter(), Note: c.row.Reference, Events: c.events(Succeed),
	}))
	switch {
	case errors.Is(err, ledger.ErrHoldClosed):
		return nil, d.closed(ctx, c.ID, err)
	case errors.Is(err, ledger.ErrLimitExceeded): // what the customer may pay was counted when it was held
		return nil, errPayee.WithCause(err)
	case err != nil:
		return nil, err
	}
	if c, err = d.get(ctx, in, c.ID); err != nil {
		return nil, executed(err)
	}
	return c, nil
}

// Refund gives a paid checkout's money back, or a part of it, and returns the
// transaction that did. It comes from the merchant's pending and then its available
// balance; the fee stays. All refunds together never exceed what was paid. It fails
// with NOT_FOUND, CHECKOUT_NOT_PAID, REFUND_EXCEEDED, INSUFFICIENT_FUNDS,
// AMOUNT_NOT_POSITIVE, AMOUNT_TOO_PRECISE, AMOUNT_OUT_OF_RANGE,
// ACCOUNT_ASSET_MISMATCH, IDEMPOTENCY_KEY_REUSED, OVERLOADED or OUTCOME_UNKNOWN.
func (d *Desk) Refund(ctx context.Context, r *Change) (*Checkout, uuid.UUID, error) {
	in := Scope{Merchant: r.Merchant}
	c, err := d.Get(ctx, in, r.Checkout)
	if err != nil {
		return nil, uuid.Nil, err
	}
	amount, said, err := d.amount(ctx, c, r.Amount)
	if err != nil {
		return nil, uuid.Nil, err
	}
	if _, ok := Next(c.State, Refund); !ok {
		return nil, uuid.Nil, errNotPaid.WithMetadata("state", stateName(c.State))
	}
	from, err := d.purses(ctx, c)
	if err != nil {
		return nil, uuid.Nil, err
	}
	result, err := d.ledger.Refund(ctx, r.identity("refund checkout", said), ledger.Refund{
		Original: c.Payment, Amount: amount, Kind: ledger.KindRefund, From: from, Note: c.row.Reference, Events: c.events(Refund),
	})
	if err != nil {
		return nil, uuid.Nil, err
	}
	if c, err = d.get(ctx, in, c.ID); err != nil {
		return nil, uuid.Nil, executed(err)
	}
	return c, result.Transaction.ID, nil
}

// purses are the accounts that refunds come from, in their order.
func (d *Desk) purses(ctx context.Context, c *Checkout) ([]ledger.AccountID, error) {
	var list []ledger.AccountID
	for _, code := range []string{money.MerchantPending(c.Merchant, c.Asset), money.MerchantAvailable(c.Merchant, c.Asset)} {
		account, err := d.ledger.OpenAccount(ctx, ledger.AccountSpec{Code: code, Asset: c.Asset.ID})
		if err != nil {
			return nil, err
		}
		list = append(list, account)
	}
	return list, nil
}
