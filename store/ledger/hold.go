package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/store/id"
)

// Errors of holds.
var (
	// ErrHoldNotFound says that there is no hold with this id.
	ErrHoldNotFound = errors.New("hold not found")
	// ErrHoldExpired says that the hold's time is over.
	ErrHoldExpired = errors.New("the hold has expired")
	// ErrHoldClosed says that the hold was captured to its end or voided.
	ErrHoldClosed = errors.New("the hold is closed")
	// ErrHoldExceeded says that more was to be captured than the hold allows.
	ErrHoldExceeded = errors.New("the capture exceeds the hold")
	// ErrExpireTime says that a hold must end in the future, and within
	// MaxHoldLife.
	ErrExpireTime = errors.New("the hold's expiry is not in the future or too far away")
	// ErrUnbounded says that an account without a floor can't have holds: there is
	// no end to what it has available.
	ErrUnbounded = errors.New("the account has no floor")
)

// MaxHoldLife is how far away the expiry of a hold may lie.
const MaxHoldLife = 366 * 24 * time.Hour

// MaxExcessBPS is the most that captures may exceed a hold by, in hundredths of a
// percent: its amount once more.
const MaxExcessBPS = 10_000

// HoldState says where a hold is in its life. The numbers are stored.
type HoldState int16

// The states of a hold. All but the first are final.
const (
	HoldOpen     HoldState = 1
	HoldCaptured HoldState = 2
	HoldVoided   HoldState = 3
	HoldExpired  HoldState = 4
)

// Hold is money set aside in an account for a payment to come.
type Hold struct {
	ID         uuid.UUID
	Account    AccountID
	Code       string // the account's code
	Asset      AssetID
	Amount     Amount // what was authorized in all
	Captured   Amount // what of it, or beyond it, was captured
	ExcessBPS  int    // by how many hundredths of a percent captures may exceed Amount
	State      HoldState
	Reference  string
	CreateTime time.Time
	ExpireTime time.Time
	CloseTime  time.Time // zero while it is open

	operations int32 // how many there were
}

// Remaining returns what the hold still keeps from being spent.
func (h *Hold) Remaining() Amount {
	rest, err := h.Amount.Sub(h.Captured)
	if h.State != HoldOpen || err != nil || rest.Sign() < 0 {
		return Amount{}
	}
	return rest
}

// Capturable returns the most that can still be captured, the permitted excess
// included. Beyond what remains, it takes available funds too.
func (h *Hold) Capturable() Amount {
	if h.State != HoldOpen {
		return Amount{}
	}
	most := maxAmountValue
	if excess, err := h.Amount.BasisPoints(h.ExcessBPS); err == nil {
		if sum, err := h.Amount.Add(excess); err == nil {
			most = sum
		}
	}
	rest, err := most.Sub(h.Captured)
	if err != nil {
		return Amount{}
	}
	return rest
}

// HoldOperation is something that is done to a hold. The numbers are stored.
type HoldOperation int16

// The operations on holds.
const (
	HoldCreate   HoldOperation = 1
	HoldIncrease HoldOperation = 2
	HoldCapture  HoldOperation = 3
	HoldVoid     HoldOperation = 4
	HoldExpire   HoldOperation = 5
)

// HoldChange is a decision on a hold.
type HoldChange struct {
	Operation HoldOperation
	After     Hold // the hold as it is to be
}

// NewHold says what to hold.
type NewHold struct {
	Account    AccountID
	Amount     Amount // more than zero
	ExcessBPS  int    // 0 to MaxExcessBPS
	Reference  string // who holds and what for
	ExpireTime time.Time

	// ID is what the hold is known by from the start; a fresh one if zero.
	ID uuid.UUID
	// Subjects are what the hold brings to their end, with Outcome, and Deadline is
	// until when it can. See Command.
	Subjects []uuid.UUID
	Outcome  Outcome
	Deadline time.Time
	// Events are told in the same commit.
	Events []Event
}

// CreateHold sets money aside: it is no longer available at once. It fails with
// ErrInsufficientFunds, a LimitError, ErrExpireTime or ErrUnbounded, and with
// Subjects or a Deadline with a ResolvedError or ErrExpired; with
// ErrUnbalanced for an amount or excess out of range, and with ErrInvalidText for a
// reference that can't be stored.
func (l *Ledger) CreateHold(ctx context.Context, who Identity, h NewHold) (Result, error) {
	r, err := l.Commit(ctx, HoldCommand(who, h))
	if err == nil {
		l.holders.Add(r.Hold.ID, r.Hold.Account)
	}
	return r, err
}

// HoldCommand is the command behind CreateHold.
func HoldCommand(who Identity, h NewHold) Command {
	if h.ID == uuid.Nil {
		h.ID = id.New()
	}
	hold := Hold{
		ID: h.ID, Account: h.Account, Amount: h.Amount, ExcessBPS: h.ExcessBPS,
		State: HoldOpen, Reference: h.Reference, ExpireTime: h.ExpireTime.Truncate(time.Microsecond),
	}
	return Command{
		Key: who.Key, Fingerprint: who.Fingerprint, Accounts: []AccountID{h.Account}, Hold: hold.ID, Counted: true,
		Subjects: h.Subjects, Deadline: h.Deadline,
		Decide: func(v View) (Draft, error) {
			d, err := createHold(v, hold)
			d.Outcome, d.Events = h.Outcome, h.Events
			return d, err
		},
	}
}

// IncreaseHold adds to an open hold, as an incremental authorization. It fails
// as CreateHold and CaptureHold do.
func (l *Ledger) IncreaseHold(ctx context.Context, who Identity, hold uuid.UUID, by Amount) (Result, error) {
	return l.changeHold(ctx, who, hold, func(v View) (Draft, error) { return increaseHold(v, by) })
}

// VoidHold gives back what remains of a hold, and tells events of it. It fails with
// ErrHoldNotFound, ErrHoldClosed or ErrHoldExpired.
func (l *Ledger) VoidHold(ctx context.Context, who Identity, hold uuid.UUID, events ...Event) (Result, error) {
	return l.changeHold(ctx, who, hold, func(v View) (Draft, error) {
		d, err := voidHold(v)
		d.Events = events
		return d, err
	})
}

// changeHold runs a decision that moves no money.
func (l *Ledger) changeHold(ctx context.Context, who Identity, hold uuid.UUID, decide func(View) (Draft, error)) (Result, error) {
	account, err := l.holder(ctx, hold)
	if err != nil {
		return Result{}, err
	}
	return l.Commit(ctx, Command{
		Key: who.Key, Fingerprint: who.Fingerprint, Accounts: []AccountID{account}, Hold: hold, Counted: true,
		Decide: decide,
	})
}

// Capture says what to take from a hold.
type Capture struct {
	Hold uuid.UUID
	// Credits say where the money goes; their sum is what is captured. Each is
	// more than zero.
	Credits []Posting
	// Final gives back what remains, and closes the hold.
	Final   bool
	Meter   string // see Command
	Note    string
	Details json.RawMessage
	Events  []Event // told in the same commit if it closes the hold
}

// CaptureHold moves money that was held. A hold can be captured in several parts,
// and beyond its amount as far as its excess allows and there are funds. It
// fails with ErrHoldNotFound, ErrHoldExpired, ErrHoldClosed, ErrHoldExceeded,
// ErrInsufficientFunds or a LimitError.
func (l *Ledger) CaptureHold(ctx context.Context, who Identity, c Capture) (Result, error) {
	account, err := l.holder(ctx, c.Hold)
	if err != nil {
		return Result{}, err
	}
	return l.Commit(ctx, CaptureCommand(who, account, c))
}

// rememberedHolds is of how many holds the account is remembered, so that the
// replica which made a hold need not look it up.
const rememberedHolds = 50_000

// holder returns the account that a hold is in, which never changes.
func (l *Ledger) holder(ctx context.Context, hold uuid.UUID) (AccountID, error) {
	if account, ok := l.holders.Get(hold); ok {
		return account, nil
	}
	var h Hold
	err := l.lookUp(ctx, func(ctx context.Context) (err error) {
		h, err = l.Hold(ctx, hold)
		return err
	})
	return h.Account, err
}

// CaptureCommand is the command behind CaptureHold, for who knows the hold's
// account.
func CaptureCommand(who Identity, account AccountID, c Capture) Command {
	accounts := []AccountID{account}
	for _, p := range c.Credits {
		accounts = append(accounts, p.Account)
	}
	return Command{
		Key: who.Key, Fingerprint: who.Fingerprint, Kind: KindCapture, Accounts: accounts, Hold: c.Hold, Counted: true, Meter: c.Meter,
		Decide: func(v View) (Draft, error) { return captureHold(v, c) },
	}
}
