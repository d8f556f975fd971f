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
	hash := hashCode(d.key.Newest(), code)
	expire, err = d.store.Queries().PutPaymentCode(ctx, store.PutPaymentCodeParams{
		UserID: user, CodeHash: hash, AssetID: int16(maximum.Asset.ID), Maximum: maximum.Amount.String(),
	})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("keeping a payment code: %w", err)
	}
	return code, expire, nil
}

func hashCode(key []byte, code string) []byte {
	mac := hmac.New(sha256.New, key)
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
	if err := d.charge(ctx, c, r); err != nil {
		return nil, err
	}
	if c, err = d.get(ctx, in, c.ID); err != nil {
		return nil, executed(err)
	}
	return c, nil
}

// charge takes the money under the hash by which the code is known. A code that is
// known no more may have paid already: then the request is the one that was made
// with the key that hashed it.
func (d *Desk) charge(ctx context.Context, c *Checkout, r *Charge) error {
	orders := make([]*order, 0, 2)
	for _, key := range d.key() {
		hash := hashCode(key, r.Code)
		o := &order{
			who: ledger.Identity{
				Key:         ledger.NewKey(money.TerminalScope(r.Terminal), r.Key),
				Fingerprint: ledger.Fingerprint("charge", r.Checkout, hex.EncodeToString(hash)),
			},
			total: c.Amount, code: uuid.UUID(hash[:16]), deadline: c.row.ExpireTime,
			limit: func(err error) error { return errPayer.WithCause(err) },
		}
		found, err := d.redeem(ctx, c, o, hash)
		if err != nil {
			return err
		}
		if found {
			orders = []*order{o}
			break
		}
		orders = append(orders, o)
	}
	for i, o := range orders {
		_, err := d.take(ctx, c, o)
		if last := i == len(orders)-1; last || !errors.Is(err, ledger.ErrKeyReused) {
			return err
		}
	}
	return nil
}

// redeem finds out whose code it is, and notes why it can't be used.
func (d *Desk) redeem(ctx context.Context, c *Checkout, o *order, hash []byte) (found bool, err error) {
	code, err := d.store.Queries().GetPaymentCode(ctx, hash)
	if errors.Is(err, pgx.ErrNoRows) {
		o.refusal = errCode
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("finding a payment code: %w", err)
	}
	maximum, err := ledger.ParseDecimal(code.Maximum, 0)
	if err != nil {
		return false, err
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
	return true, nil
}
