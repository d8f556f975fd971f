package checkout

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/ledger"
)

// paymentCodeLength is of payment codes: 100 random bits.
const paymentCodeLength = 20

// IssueCode gives a user a code by which a terminal can charge them once, up to a
// maximum and within 60 seconds. It replaces the last one.
func (d *Desk) IssueCode(ctx context.Context, user uuid.UUID, maximum money.Value) (code string, expire time.Time, err error) {
	code = drawCode(paymentCodeLength)
	hash := d.hash(code)
	expire, err = d.store.Queries().PutPaymentCode(ctx, store.PutPaymentCodeParams{
		UserID: user, CodeHash: hash, AssetID: int16(maximum.Asset.ID), Maximum: maximum.Amount.String(),
	})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("keeping a payment code: %w", err)
	}
	return code, expire, nil
}

func (d *Desk) hash(code string) []byte {
	mac := hmac.New(sha256.New, d.key)
	mac.Write([]byte(normalCode(code)))
	return mac.Sum(nil)
}

// Charge is a terminal's request to pay a checkout with a customer's code.
type Charge struct {
	Terminal uuid.UUID
	Key      string // the idempotency key
	Checkout string // the id
	Code     string // as scanned
}

// Charge pays one of the terminal's checkouts with a payment code. That the code is
// used is written in the commit that pays, so it pays once whatever happens, and a
// retry with the key is answered as the first time also when the code is long gone.
// It fails with NOT_FOUND, PAYMENT_CODE_INVALID, PAYMENT_CODE_EXCEEDED,
// SELF_TRANSFER, INSUFFICIENT_FUNDS, LIMIT_EXCEEDED, RECIPIENT_LIMIT_EXCEEDED,
// CHECKOUT_CLOSED, CHECKOUT_EXPIRED, IDEMPOTENCY_KEY_REUSED, OVERLOADED or
// OUTCOME_UNKNOWN. Whether the terminal may charge is the caller's to check.
func (d *Desk) Charge(ctx context.Context, r *Charge) (*Checkout, error) {
	in := Scope{Terminal: r.Terminal}
	c, err := d.Get(ctx, in, r.Checkout)
	if err != nil {
		return nil, err
	}
	hash := d.hash(r.Code)
	o := &order{
		who: ledger.Identity{
			Key:         ledger.NewKey(money.TerminalScope(r.Terminal), r.Key),
			Fingerprint: ledger.Fingerprint("charge", r.Checkout, hex.EncodeToString(hash)),
		},
		total: c.Amount, code: uuid.UUID(hash[:16]), deadline: c.row.ExpireTime,
		limit: func(err error) error { return errPayer.WithCause(err) },
	}
	if err := d.redeem(ctx, c, o, hash); err != nil {
		return nil, err
	}
	if _, err = d.take(ctx, c, o); err != nil {
		return nil, err
	}
	if c, err = d.get(ctx, in, c.ID); err != nil {
		return nil, executed(err)
	}
	return c, nil
}

// redeem finds out whose code it is, and notes why it can't be used.
func (d *Desk) redeem(ctx context.Context, c *Checkout, o *order, hash []byte) error {
	code, err := d.store.Queries().GetPaymentCode(ctx, hash)
	if errors.Is(err, pgx.ErrNoRows) {
		o.refusal = errCode
		return nil
	}
	if err != nil {
		return fmt.Errorf("finding a payment code: %w", err)
	}
	maximum, err := ledger.ParseDecimal(code.Maximum, 0)
	if err != nil {
		return err
	}
	o.payer = code.UserID
	if code.ExpireTime.Before(o.deadline) {
		o.deadline = code.ExpireTime
	}
	switch {
	case code.AssetID != c.row.AssetID, maximum.Cmp(o.total) < 0:
		o.refusal = errCodeExceeded
	case code.UserID == c.row.OwnerID:
		o.refusal = errOwn
	}
	return nil
}
