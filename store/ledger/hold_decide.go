package ledger

import (
	"fmt"
	"time"
)

func createHold(v View, h Hold) (Draft, error) {
	a := v.Account(h.Account)
	h.CreateTime = v.Now()
	h.Code, h.Asset = a.Code, a.Asset
	switch {
	case h.Amount.Sign() <= 0:
		return Draft{}, fmt.Errorf("%w: a hold of %s", ErrUnbalanced, h.Amount)
	case h.ExcessBPS < 0 || h.ExcessBPS > MaxExcessBPS:
		return Draft{}, fmt.Errorf("%w: an excess of %d basis points", ErrUnbalanced, h.ExcessBPS)
	case !storable(h.Reference):
		return Draft{}, fmt.Errorf("%w: the reference is not UTF-8 or has a NUL byte", ErrInvalidText)
	case a.Floor == nil:
		return Draft{}, ErrUnbounded
	case !h.ExpireTime.After(v.Now()), h.ExpireTime.Sub(v.Now()) > MaxHoldLife:
		return Draft{}, ErrExpireTime
	}
	return Draft{Hold: &HoldChange{Operation: HoldCreate, After: h}}, nil
}

// openHold returns the command's hold if anything can still be done with it.
// From its expiry on nothing can, whether or not that has been noticed.
func openHold(v View) (Hold, error) {
	h, ok := v.Hold()
	switch {
	case !ok:
		return Hold{}, ErrHoldNotFound
	case h.State == HoldExpired, h.State == HoldOpen && !v.Now().Before(h.ExpireTime):
		return Hold{}, ErrHoldExpired
	case h.State != HoldOpen:
		return Hold{}, ErrHoldClosed
	}
	return h, nil
}

func increaseHold(v View, by Amount) (Draft, error) {
	h, err := openHold(v)
	if err != nil {
		return Draft{}, err
	}
	if by.Sign() <= 0 {
		return Draft{}, fmt.Errorf("%w: a hold increased by %s", ErrUnbalanced, by)
	}
	if h.Amount, err = h.Amount.Add(by); err != nil {
		return Draft{}, err
	}
	return Draft{Hold: &HoldChange{Operation: HoldIncrease, After: h}}, nil
}

func captureHold(v View, c Capture) (Draft, error) {
	h, err := openHold(v)
	if err != nil {
		return Draft{}, err
	}
	var total Amount
	postings := make([]Posting, 1, len(c.Credits)+1)
	for _, p := range c.Credits {
		if p.Amount.Sign() <= 0 {
			return Draft{}, fmt.Errorf("%w: %s is captured", ErrUnbalanced, p.Amount)
		}
		if total, err = total.Add(p.Amount); err != nil {
			return Draft{}, err
		}
		postings = append(postings, p)
	}
	if total.Cmp(h.Capturable()) > 0 {
		return Draft{}, ErrHoldExceeded
	}
	postings[0] = Posting{Account: h.Account, Amount: total.Neg()}
	if h.Captured, err = h.Captured.Add(total); err != nil {
		return Draft{}, err
	}
	if c.Final || h.Capturable().IsZero() {
		h = closed(h, HoldCaptured, v.Now())
	} else {
		c.Events = nil
	}
	return Draft{
		Postings: postings, Note: c.Note, Details: c.Details, Events: c.Events,
		Hold: &HoldChange{Operation: HoldCapture, After: h},
	}, nil
}

func voidHold(v View) (Draft, error) {
	h, err := openHold(v)
	if err != nil {
		return Draft{}, err
	}
	return Draft{Hold: &HoldChange{Operation: HoldVoid, After: closed(h, HoldVoided, v.Now())}}, nil
}

// expireHold is decided once the hold's time is over. Its refusals go nowhere:
// somebody else was first.
func expireHold(v View) (Draft, error) {
	h, ok := v.Hold()
	switch {
	case !ok:
		return Draft{}, ErrHoldNotFound
	case h.State != HoldOpen || v.Now().Before(h.ExpireTime):
		return Draft{}, ErrHoldClosed
	}
	return Draft{Hold: &HoldChange{Operation: HoldExpire, After: closed(h, HoldExpired, v.Now())}}, nil
}

func closed(h Hold, state HoldState, now time.Time) Hold {
	h.State, h.CloseTime = state, now
	return h
}

// operation is what hold_operations keeps of a change.
type operation struct {
	hold       Hold // after it
	kind       HoldOperation
	heldChange Amount
	counted    charge // to the counters of outgoing money
	at         int    // the index of its transaction in batch.made; -1 for none
	key        Key
	fingerp    [32]byte
	call       *call
	item       int
}

// countHold tells what a change adds to the counters of what the account may
// pay. Money counts when it is authorized, so that a capture is never refused
// for a limit that was kept then; what isn't captured is given back to the
// counters that counted it.
func countHold(op HoldOperation, before, after *Hold, now time.Time) (charge, error) {
	c := charge{direction: Outgoing, at: now}
	var err error
	switch op {
	case HoldCreate:
		c.amount, c.number = after.Amount, 1
	case HoldIncrease:
		c.before = claim(before)
		c.amount, err = claim(after).Sub(c.before)
	case HoldCapture:
		c.before = claim(before)
		c.amount, err = claim(after).Sub(c.before)
		if rest, e := after.Amount.Sub(after.Captured); e == nil && after.State != HoldOpen && rest.Sign() > 0 {
			c.amount, c.at = rest.Neg(), after.CreateTime
		}
	case HoldVoid, HoldExpire:
		c.amount, c.at = before.Remaining().Neg(), after.CreateTime
		if after.Captured.IsZero() {
			c.number = -1
		}
	}
	return c, err
}

// claim is what a hold has taken or may take without asking: the greater of what
// was authorized and what was captured.
func claim(h *Hold) Amount {
	if h.Captured.Cmp(h.Amount) > 0 {
		return h.Captured
	}
	return h.Amount
}
