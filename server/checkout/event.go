package checkout

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/google/uuid"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/ledger"
)

// subjects are who is told what happens to a checkout: its merchant and, if it has
// one, its terminal.
func subjects(merchant uuid.UUID, terminal *uuid.UUID) []string {
	list := []string{money.MerchantScope(merchant)}
	if terminal != nil {
		list = append(list, money.TerminalScope(*terminal))
	}
	return list
}

// events are what is told in the ledger's commit.
func (c *Checkout) events(h Happening) []ledger.Event {
	payload, err := json.Marshal(map[string]uuid.UUID{"checkout": c.ID})
	if err != nil {
		panic(err) // a UUID is always JSON
	}
	var list []ledger.Event
	for _, subject := range subjects(c.Merchant, c.row.TerminalID) {
		list = append(list, ledger.Event{Type: string(h), Subject: subject, Payload: payload})
	}
	return list
}

// HoldEvents are what is told when somebody else than the desk closes a hold: what
// happens by that to the checkout which it is for, Cancel or Succeed, or nothing for a
// hold of another kind.
func (d *Desk) HoldEvents(ctx context.Context, hold uuid.UUID, h Happening) ([]ledger.Event, error) {
	c, err := d.get(ctx, Scope{}, hold) // a checkout's hold has its id
	switch {
	case rpc.ReasonOf(err) == errorv1.ErrorReason_ERROR_REASON_NOT_FOUND:
		return nil, nil
	case err != nil:
		return nil, err
	}
	return c.events(h), nil
}

// RefundEvents are what is told when somebody else than the desk gives a transaction
// back: that the checkout which it paid was refunded, or nothing if it paid none.
func (d *Desk) RefundEvents(ctx context.Context, payment uuid.UUID) ([]ledger.Event, error) {
	rows, err := d.store.Queries().ListCheckoutsOfTransactions(ctx, []uuid.UUID{payment})
	if err != nil {
		return nil, fmt.Errorf("finding the checkout of a transaction: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	c, err := d.get(ctx, Scope{}, rows[0].CheckoutID)
	if err != nil {
		return nil, err
	}
	return c.events(Refund), nil
}

// told are events of several checkouts as columns.
type told struct {
	ids      []uuid.UUID
	subjects []string
}

func (t *told) add(checkout, merchant uuid.UUID, terminal *uuid.UUID) {
	for _, subject := range subjects(merchant, terminal) {
		t.ids, t.subjects = append(t.ids, checkout), append(t.subjects, subject)
	}
}

// of keeps the events of some of the checkouts.
func (t *told) of(checkouts []uuid.UUID) (kept told) {
	for i, about := range t.ids {
		if slices.Contains(checkouts, about) {
			kept.ids, kept.subjects = append(kept.ids, about), append(kept.subjects, t.subjects[i])
		}
	}
	return kept
}
