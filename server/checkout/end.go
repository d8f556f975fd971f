package checkout

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/ledger"
)

// How a checkout ends, or that it is authorized; stored in resolutions.
const (
	outcomeSucceeded  ledger.Outcome = 1
	outcomeDeclined   ledger.Outcome = 2
	outcomeCanceled   ledger.Outcome = 3
	outcomeAuthorized ledger.Outcome = 4
	outcomeExpired    ledger.Outcome = 5
)

// ends are the ways to end without money.
var ends = map[Happening]ledger.Outcome{
	Decline: outcomeDeclined,
	Cancel:  outcomeCanceled,
	Expire:  outcomeExpired,
}

// Cancel takes a checkout back: it can't be paid any more or, if it was authorized,
// the customer's money is free again. Doing it again answers as the first time. It
// fails with NOT_FOUND or CHECKOUT_CLOSED.
func (d *Desk) Cancel(ctx context.Context, in Scope, checkout string) (*Checkout, error) {
	return d.end(ctx, in, checkout, Cancel)
}

// Decline refuses to pay a checkout; so can any customer who has it before them.
// Doing it again answers as the first time. It fails with NOT_FOUND, CHECKOUT_CLOSED
// or CHECKOUT_EXPIRED.
func (d *Desk) Decline(ctx context.Context, checkout string) (*Checkout, error) {
	c, err := d.end(ctx, Scope{}, checkout, Decline)
	if err == nil || c == nil || c.State != Expired {
		return c, err
	}
	return nil, errExpired.WithCause(err)
}

// maxSteps is how often a checkout can move on while somebody ends it: to be
// authorized and then to its end.
const maxSteps = 3

// end also returns the checkout that it couldn't end, for who wants to know why.
func (d *Desk) end(ctx context.Context, in Scope, checkout string, h Happening) (c *Checkout, err error) {
	for range maxSteps {
		if c, err = d.Get(ctx, in, checkout); err != nil {
			return nil, err
		}
		to, possible := Next(c.State, h)
		switch {
		case c.State == goal[h]:
			return c, nil
		case !possible:
			return c, errClosed(c.State)
		case c.State == Authorized:
			err = d.void(ctx, c)
		default:
			var about told
			about.add(c.ID, c.Merchant, c.row.TerminalID)
			_, err = d.resolve(ctx, h, about)
		}
		if err != nil {
			return c, err
		}
		// Whoever was first, the checkout now says so.
		if c, err = d.get(ctx, in, c.ID); err != nil {
			return nil, rpc.AsError(err).WithOutcome(errorv1.Outcome_OUTCOME_UNKNOWN)
		}
		if c.State == to {
			return c, nil
		}
	}
	if open(c.State) { // by the database's clock its time is over
		return c, errClosed(Expired)
	}
	return c, errClosed(c.State)
}

// goal is where ends lead from wherever they are possible.
var goal = map[Happening]State{Decline: Declined, Cancel: Canceled, Expire: Expired}

// void gives an authorized checkout's money free. That another was first shows in
// the checkout's state.
func (d *Desk) void(ctx context.Context, c *Checkout) error {
	who := ledger.Identity{
		Key:         ledger.NewKey("checkout/cancel", c.name()),
		Fingerprint: ledger.Fingerprint("cancel checkout", c.name()),
	}
	_, err := d.ledger.VoidHold(ctx, who, c.ID, c.events(Cancel)...)
	switch {
	case errors.Is(err, ledger.ErrHoldClosed):
		return nil
	case errors.Is(err, ledger.ErrHoldExpired):
		return errClosed(Expired).WithCause(err)
	}
	return err
}

// resolve ends checkouts without money, those that are open, and tells so in the
// same transaction. It returns those that it ended.
func (d *Desk) resolve(ctx context.Context, h Happening, about told) (ended []uuid.UUID, err error) {
	err = d.store.InTx(ctx, func(ctx context.Context, q *store.Queries, _ pgx.Tx) error {
		ended, err = resolveIn(ctx, q, h, about)
		return err
	})
	return ended, err
}

func resolveIn(ctx context.Context, q *store.Queries, h Happening, about told) ([]uuid.UUID, error) {
	ended, err := q.ResolveCheckouts(ctx, store.ResolveCheckoutsParams{
		Ids: about.ids, Expired: h == Expire, Outcome: int16(ends[h]), Type: string(h),
		EventIds: about.ids, EventSubjects: about.subjects,
	})
	if err != nil {
		return nil, fmt.Errorf("ending checkouts: %w", err)
	}
	return ended, nil
}
