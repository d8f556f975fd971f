package checkout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
)

// Get returns the checkout with this id, such as "chk_…", or NOT_FOUND.
func (d *Desk) Get(ctx context.Context, in Scope, text string) (*Checkout, error) {
	wanted, err := id.Parse(id.Checkout, text)
	if err != nil {
		return nil, errNotFound.WithCause(err)
	}
	return d.get(ctx, in, wanted)
}

func (d *Desk) get(ctx context.Context, in Scope, wanted uuid.UUID) (*Checkout, error) {
	row, err := d.store.Queries().GetCheckout(ctx, store.GetCheckoutParams{
		ID: wanted, MerchantID: optional(in.Merchant), TerminalID: optional(in.Terminal),
	})
	return d.found(ctx, row, err)
}

// ByCode returns the checkout with this short code, however it is typed, or
// NOT_FOUND.
func (d *Desk) ByCode(ctx context.Context, code string) (*Checkout, error) {
	row, err := d.store.Queries().GetCheckoutByCode(ctx, normalCode(code))
	return d.found(ctx, row, err)
}

func (d *Desk) found(ctx context.Context, row store.CheckoutState, err error) (*Checkout, error) {
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errNotFound.WithCause(err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading a checkout: %w", err)
	}
	list, err := d.current(ctx, []store.CheckoutState{row})
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// ByID returns those of the checkouts that there are, newest first. It is for who
// follows events and knows that they may be seen.
func (d *Desk) ByID(ctx context.Context, ids []uuid.UUID) ([]*Checkout, error) {
	rows, err := d.store.Queries().ListCheckoutsByID(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("reading checkouts: %w", err)
	}
	return d.current(ctx, rows)
}

// Filter says which checkouts to list. Zero fields but Merchant restrict nothing.
type Filter struct {
	Merchant, Store, Terminal uuid.UUID
	State                     State
	// PageSize and PageToken are as clients send them.
	PageSize  int32
	PageToken string
}

// List returns a page of checkouts, newest first, and where the next one begins;
// empty for the last. It fails with PAGE_TOKEN_INVALID.
func (d *Desk) List(ctx context.Context, f Filter) (list []*Checkout, next string, err error) {
	kind := rpc.PageKind("checkouts", f.Merchant.String(), f.Store.String(), f.Terminal.String(), f.State.String())
	before, size := uuid.Max, rpc.PageSize(f.PageSize)
	if f.PageToken != "" {
		if err := rpc.DecodePageToken(kind, f.PageToken, &before); err != nil {
			return nil, "", err
		}
	}
	rows, err := d.store.Queries().ListCheckouts(ctx, store.ListCheckoutsParams{
		MerchantID: f.Merchant, StoreID: optional(f.Store), TerminalID: optional(f.Terminal),
		State: int32(f.State), BeforeID: before, MaxRows: int32(size + 1),
	})
	if err != nil {
		return nil, "", fmt.Errorf("listing checkouts: %w", err)
	}
	if len(rows) > size {
		rows = rows[:size]
		next = rpc.EncodePageToken(kind, rows[size-1].ID)
	}
	list, err = d.current(ctx, rows)
	if f.State != 0 { // one may have expired meanwhile
		list = slices.DeleteFunc(list, func(c *Checkout) bool { return c.State != f.State })
	}
	return list, next, err
}

// current reads rows. Those whose time is over and of which that hasn't been noticed
// are expired first, so that nobody sees as open what can't be paid any more.
func (d *Desk) current(ctx context.Context, rows []store.CheckoutState) ([]*Checkout, error) {
	var late told
	now := d.now()
	for i := range rows {
		if r := &rows[i]; open(State(r.State)) && !now.Before(r.ExpireTime) {
			late.add(r.ID, r.MerchantID, r.TerminalID)
		}
	}
	if len(late.ids) > 0 {
		if _, err := d.resolve(ctx, Expire, late); err != nil {
			return nil, err
		}
		again, err := d.store.Queries().ListCheckoutsByID(ctx, late.ids)
		if err != nil {
			return nil, fmt.Errorf("reading checkouts: %w", err)
		}
		for i := range rows {
			for j := range again {
				if again[j].ID == rows[i].ID {
					rows[i] = again[j]
				}
			}
		}
	}
	list := make([]*Checkout, len(rows))
	for i := range rows {
		var err error
		if list[i], err = d.read(ctx, rows[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// normalCode writes a code as it is stored: Crockford's base32 takes I and L for 1
// and O for 0.
func normalCode(code string) string {
	code = strings.ToUpper(strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' {
			return -1
		}
		return r
	}, code))
	return strings.NewReplacer("O", "0", "I", "1", "L", "1").Replace(code)
}
