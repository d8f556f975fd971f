package checkout

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

const (
	// life is how long a checkout can be paid that doesn't say.
	life = 15 * time.Minute
	// maxOpenAtTerminal and maxOpenElsewhere bound how many checkouts can be open at
	// one terminal, and without a terminal for one merchant.
	maxOpenAtTerminal = 20
	maxOpenElsewhere  = 1000
	// maxDraws is how often a code is drawn anew if somebody has it.
	maxDraws = 3
)

// Draft is a checkout to be made. Who may make it, and whether the terminal is in
// order, is the caller's to check.
type Draft struct {
	By       Caller
	Key      string // the idempotency key
	Merchant uuid.UUID
	Store    uuid.UUID // zero for the terminal's
	Terminal uuid.UUID // zero for none
	// Refused is why none may be made now. What the key made before is returned all the
	// same.
	Refused error
	// The rest is as in the API.
	Amount     *moneyv1.Money
	Reference  string
	Items      []*checkoutv1.CheckoutItem
	TipOptions *checkoutv1.TipOptions
	Capture    CaptureMode
	ExpireTime *timestamppb.Timestamp
}

// item is a line as it is stored.
type item struct {
	Name     string `json:"name"`
	Quantity uint32 `json:"quantity"`
	Price    string `json:"price"` // in the smallest unit
}

// Create makes a checkout, or returns the one that its key made. It fails with
// NOT_FOUND for a store or terminal that isn't the merchant's, ASSET_NOT_FOUND,
// AMOUNT_NOT_POSITIVE, AMOUNT_TOO_PRECISE, AMOUNT_OUT_OF_RANGE, ITEMS_MISMATCH,
// EXPIRE_TIME_INVALID, TOO_MANY_CHECKOUTS, RATE_LIMITED or IDEMPOTENCY_KEY_REUSED.
func (d *Desk) Create(ctx context.Context, n *Draft) (*Checkout, error) {
	if err := d.allow(n.Merchant); err != nil {
		return nil, err
	}
	row, err := d.draft(ctx, n)
	if err != nil {
		return nil, err
	}
	var made uuid.UUID
	err = d.store.InTx(ctx, func(ctx context.Context, q *store.Queries, _ pgx.Tx) error {
		made, err = create(ctx, q, row, n.Refused)
		return err
	})
	if err != nil {
		return nil, err
	}
	return d.get(ctx, Scope{}, made)
}

// create writes a checkout unless its key has made one, or it is refused.
func create(ctx context.Context, q *store.Queries, row *store.InsertCheckoutParams, refused error) (uuid.UUID, error) {
	counter, most := row.MerchantID.String(), int64(maxOpenElsewhere)
	if row.TerminalID != nil {
		counter, most = row.TerminalID.String(), maxOpenAtTerminal
	}
	if err := q.LockOpenCheckouts(ctx, counter); err != nil {
		return uuid.Nil, err
	}
	for range maxDraws {
		known, err := q.FindCheckoutByKey(ctx, row.KeyHash)
		switch {
		case err == nil && string(known.Fingerprint) != string(row.Fingerprint):
			return uuid.Nil, ledger.ErrKeyReused
		case err == nil:
			return known.ID, nil
		case !errors.Is(err, pgx.ErrNoRows):
			return uuid.Nil, err
		case refused != nil:
			return uuid.Nil, refused
		}
		open, err := countOpen(ctx, q, row)
		if err != nil {
			return uuid.Nil, err
		}
		if open >= most {
			return uuid.Nil, rpc.NewError(errorv1.ErrorReason_ERROR_REASON_TOO_MANY_CHECKOUTS,
				"%d checkouts are open. Cancel some first.", open)
		}
		row.Code = drawCode(codeLength)
		made, err := q.InsertCheckout(ctx, *row)
		if errors.Is(err, pgx.ErrNoRows) { // the key was used at another counter just now, the code ever, or it's too late
			continue
		}
		if err != nil {
			return uuid.Nil, fmt.Errorf("adding a checkout: %w", err)
		}
		return made, nil
	}
	return uuid.Nil, errExpireTime
}

// countOpen counts what can be paid at the counter of a checkout.
func countOpen(ctx context.Context, q *store.Queries, row *store.InsertCheckoutParams) (int64, error) {
	if row.TerminalID == nil {
		return q.CountOpenElsewhere(ctx, row.MerchantID)
	}
	return q.CountOpenAtTerminal(ctx, store.CountOpenAtTerminalParams{MerchantID: row.MerchantID, TerminalID: *row.TerminalID})
}

// draft checks a checkout and finds out what it takes from its merchant.
func (d *Desk) draft(ctx context.Context, n *Draft) (*store.InsertCheckoutParams, error) {
	value, err := money.ParsePositive(ctx, d.ledger, n.Amount, "amount")
	if err != nil {
		return nil, err
	}
	items, err := d.items(ctx, n.Items, value)
	if err != nil {
		return nil, err
	}
	tips, err := percentages(n.TipOptions)
	if err != nil {
		return nil, err
	}
	expire, said := d.now().Add(life), ""
	if n.ExpireTime != nil {
		if n.ExpireTime.CheckValid() != nil {
			return nil, errExpireTime
		}
		expire = n.ExpireTime.AsTime()
		said = expire.Format(time.RFC3339Nano)
	}
	counter, err := d.counter(ctx, n, value.Asset.ID)
	if err != nil {
		return nil, err
	}
	capture := max(n.Capture, checkoutv1.CaptureMode_CAPTURE_MODE_AUTOMATIC)
	key := ledger.NewKey(n.By.scope()+"/checkouts", n.Key)
	fingerprint := ledger.Fingerprint("checkout", n.Merchant.String(), n.Store.String(), n.Terminal.String(),
		value.Asset.Code, value.Amount.String(), n.Reference, string(items),
		strconv.FormatBool(n.TipOptions.GetAllowed()), fmt.Sprint(tips), capture.String(), said)
	return &store.InsertCheckoutParams{
		EventType: string(Create), EventSubjects: subjects(n.Merchant, optional(n.Terminal)),
		ID: id.New(), MerchantID: n.Merchant, StoreID: counter.StoreID, TerminalID: optional(n.Terminal), CreatedBy: optional(n.By.User),
		AssetID: int16(value.Asset.ID), Amount: value.Amount.String(), Reference: n.Reference, Items: items,
		TipAllowed: n.TipOptions.GetAllowed(), TipPercentages: tips, Capture: int16(capture),
		FeeBasisPoints: counter.FeeBasisPoints, FeeFixed: counter.FeeFixed,
		KeyHash: uuid.UUID(key), Fingerprint: fingerprint[:], ExpireTime: expire,
	}, nil
}

// counter is where a checkout is, and the rate that it takes from there.
type counter struct {
	StoreID        uuid.UUID
	FeeBasisPoints int32
	FeeFixed       string
}

func (d *Desk) counter(ctx context.Context, n *Draft, asset ledger.AssetID) (c counter, err error) {
	q := d.store.Queries()
	switch {
	case n.Terminal != uuid.Nil:
		var row store.GetTerminalCounterRow
		row, err = q.GetTerminalCounter(ctx, store.GetTerminalCounterParams{TerminalID: n.Terminal, MerchantID: n.Merchant, AssetID: int16(asset)})
		if c = counter(row); err == nil && n.Store != uuid.Nil && n.Store != c.StoreID {
			return counter{}, errNoCounter
		}
	case n.Store != uuid.Nil:
		var row store.GetStoreCounterRow
		row, err = q.GetStoreCounter(ctx, store.GetStoreCounterParams{StoreID: n.Store, MerchantID: n.Merchant, AssetID: int16(asset)})
		c = counter(row)
	default:
		return counter{}, errNoStore
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return counter{}, errNoCounter.WithCause(err)
	}
	if err != nil {
		return counter{}, fmt.Errorf("finding a counter: %w", err)
	}
	return c, nil
}

// items checks that what is sold adds up, and writes it as it is stored.
func (d *Desk) items(ctx context.Context, list []*checkoutv1.CheckoutItem, value money.Value) ([]byte, error) {
	stored := make([]item, 0, len(list))
	var sum ledger.Amount
	for i, line := range list {
		price, err := money.Parse(ctx, d.ledger, line.GetUnitPrice(), fmt.Sprintf("items[%d].unit_price", i))
		if err != nil {
			return nil, err
		}
		if price.Asset.ID != value.Asset.ID || price.Amount.Sign() < 0 {
			return nil, errItems
		}
		times, err := price.Amount.BasisPoints(int(line.GetQuantity()) * 10_000)
		if err == nil {
			sum, err = sum.Add(times)
		}
		if err != nil {
			return nil, errItems.WithCause(err)
		}
		stored = append(stored, item{Name: line.GetName(), Quantity: line.GetQuantity(), Price: price.Amount.String()})
	}
	if len(list) > 0 && sum != value.Amount {
		return nil, errItems
	}
	return json.Marshal(stored)
}

func percentages(tips *checkoutv1.TipOptions) ([]int16, error) {
	list := make([]int16, 0, len(tips.GetPercentages()))
	for _, p := range tips.GetPercentages() {
		list = append(list, int16(p))
	}
	if !slices.IsSorted(list) {
		return nil, rpc.NewError(errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "The percentages aren't in ascending order.").
			WithField("tip_options.percentages", "must be in ascending order")
	}
	return list, nil
}

// alphabet is Crockford's base32.
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// codeLength is of the short codes: 60 random bits.
const codeLength = 12

// drawCode returns so many random characters of five bits each.
func drawCode(length int) string {
	code := make([]byte, length)
	_, _ = rand.Read(code) // never fails; it aborts the process instead
	for i := range code {
		code[i] = alphabet[code[i]&31]
	}
	return string(code)
}
