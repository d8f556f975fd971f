package merchant

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

const (
	// salePage is how many sales are read at a time.
	salePage = 500
	// longestSale is more than a checkout can take from being made to being paid: a day
	// until it is authorized, a week until it is captured, and what clocks differ by.
	longestSale = 9 * 24 * time.Hour
)

// selection says which sales and refunds are meant. Nil fields restrict nothing.
type selection struct {
	merchant uuid.UUID
	start    time.Time // the first moment
	end      time.Time // the first moment that no longer counts
	store    *uuid.UUID
	terminal *uuid.UUID
	// counterUser is who made a sale without a terminal.
	counterUser *uuid.UUID
}

// happening is a sale, or that something was given back.
type happening struct {
	refund      bool
	more        bool // is a further part of the last sale
	time        time.Time
	checkout    uuid.UUID
	transaction uuid.UUID
	store       uuid.UUID
	terminal    *uuid.UUID
	user        *uuid.UUID
	asset       ledger.Asset
	reference   string
	gross       ledger.Amount // tip included
	tip         ledger.Amount
	fee         ledger.Amount // negative if it was given back
	refunded    ledger.Amount
	net         ledger.Amount // signed
}

// each calls f for all sales, in the order in which they were made, and then for all
// refunds. It reads them in pages and keeps no connection while f works.
func (s *Service) each(ctx context.Context, of *selection, f func(*happening) error) error {
	ctx = s.past.Reading(ctx, of.end)
	if err := s.eachSale(ctx, of, f); err != nil {
		return err
	}
	return s.eachRefund(ctx, of, f)
}

func (s *Service) eachSale(ctx context.Context, of *selection, f func(*happening) error) error {
	q := store.ListSalesParams{
		MerchantID: of.merchant, Prefix: money.MerchantScope(of.merchant) + "/",
		AfterID: firstID(of.start.Add(-longestSale)), LastID: firstID(of.end.Add(time.Minute)),
		StartTime: of.start, EndTime: of.end, StoreID: of.store, TerminalID: of.terminal, CounterUserID: of.counterUser, MaxRows: salePage,
	}
	for {
		page, err := s.store.Queries().ListSales(ctx, q)
		if err != nil {
			return fmt.Errorf("reading sales: %w", err)
		}
		for i := range page {
			h, err := s.sale(ctx, &page[i])
			if err != nil {
				return err
			}
			h.more = h.checkout == q.AfterID
			if err := f(h); err != nil {
				return err
			}
			q.AfterID, q.AfterTransaction = page[i].ID, page[i].TransactionID
		}
		if len(page) < salePage {
			return nil
		}
	}
}

// firstID is an id that comes before all that are made from a moment on.
func firstID(t time.Time) uuid.UUID { return id.Compose(t.UnixMilli(), 0, 0) }

// sale reads what was paid. What the customer paid and the merchant didn't get is the
// fee.
func (s *Service) sale(ctx context.Context, r *store.ListSalesRow) (*happening, error) {
	h := &happening{
		time: r.CreateTime, checkout: r.ID, transaction: r.TransactionID, store: r.StoreID, terminal: r.TerminalID, user: r.CreatedBy, reference: r.Reference,
	}
	var err error
	if h.asset, err = s.ledger.AssetByID(ctx, ledger.AssetID(r.AssetID)); err != nil {
		return nil, err
	}
	var amount ledger.Amount
	for _, x := range []struct {
		text string
		into *ledger.Amount
	}{{r.Amount, &amount}, {r.Paid, &h.gross}, {r.Net, &h.net}} {
		if *x.into, err = ledger.ParseDecimal(x.text, 0); err != nil {
			return nil, err
		}
	}
	if h.fee, err = h.gross.Sub(h.net); err != nil {
		return nil, err
	}
	h.tip, err = tipOf(h.gross, amount)
	return h, err
}

// tipOf is what of a payment goes beyond what was to be paid.
func tipOf(paid, amount ledger.Amount) (ledger.Amount, error) {
	if paid.Cmp(amount) <= 0 {
		return ledger.Amount{}, nil
	}
	return paid.Sub(amount)
}

func (s *Service) eachRefund(ctx context.Context, of *selection, f func(*happening) error) error {
	q := store.ListRefundsParams{
		// What it owes is the merchant's, too.
		Prefixes:  []string{money.MerchantScope(of.merchant) + "/", ledger.ReceivableCode(id.Format(id.Merchant, of.merchant), "")},
		StartTime: of.start, EndTime: of.end,
		StoreID: of.store, TerminalID: of.terminal, CounterUserID: of.counterUser, MaxRows: salePage,
	}
	for {
		page, err := s.store.Queries().ListRefunds(ctx, q)
		if err != nil {
			return fmt.Errorf("reading refunds: %w", err)
		}
		for i := range page {
			h, err := s.refund(ctx, &page[i])
			if err != nil {
				return err
			}
			if err := f(h); err != nil {
				return err
			}
			q.AfterID = page[i].TransactionID
		}
		if len(page) < salePage {
			return nil
		}
	}
}

// refund reads what was given back. What the customer got and the merchant didn't give
// is of the fee.
func (s *Service) refund(ctx context.Context, r *store.ListRefundsRow) (*happening, error) {
	h := &happening{
		refund: true, time: r.CreateTime, checkout: r.ID, transaction: r.TransactionID,
		store: r.StoreID, terminal: r.TerminalID, user: r.CreatedBy, reference: r.Reference,
	}
	var err error
	if h.asset, err = s.ledger.AssetByID(ctx, ledger.AssetID(r.AssetID)); err != nil {
		return nil, err
	}
	if h.refunded, err = ledger.ParseDecimal(r.Amount, 0); err != nil {
		return nil, err
	}
	taken, err := ledger.ParseDecimal(r.Taken, 0)
	if err != nil {
		return nil, err
	}
	h.net = taken.Neg()
	h.fee, err = taken.Sub(h.refunded)
	return h, err
}
