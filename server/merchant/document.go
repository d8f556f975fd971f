package merchant

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/ledger"
)

// entryPage is how many entries of an account are read at a time.
const entryPage = 500

// sums are what the entries that a settlement covers add up to.
type sums struct {
	sales, refunds                   int32
	gross, tips, refunded, fees, net ledger.Amount
}

// part is what one entry of a pending account says.
type part struct {
	gross, tip, fee, refunded ledger.Amount
}

// partOf reads an entry. What comes in is what somebody paid, less the fee; what an
// operator put there has no fee. Whatever goes out was given back.
func partOf(e *ledger.AccountEntry) (part, error) {
	if e.Amount.Sign() < 0 {
		return part{refunded: e.Amount.Neg()}, nil
	}
	p := part{gross: e.Amount}
	if !isSale(e.Transaction.Kind) {
		return p, nil
	}
	paid := ledger.Amount{}
	for _, other := range e.Transaction.Entries {
		if other.Asset != e.Asset || other.Amount.Sign() >= 0 {
			continue
		}
		var err error
		if paid, err = paid.Add(other.Amount.Neg()); err != nil {
			return part{}, err
		}
	}
	fee, err := paid.Sub(e.Amount)
	if err != nil {
		return part{}, err
	}
	p.gross, p.fee = paid, fee
	return p, nil
}

// isSale tells whether transactions of a kind pay merchants.
func isSale(k ledger.Kind) bool { return k == ledger.KindPurchase || k == ledger.KindCapture }

// isSettlement tells whether an entry of a pending account took out all that was in
// it.
func isSettlement(e *ledger.AccountEntry) bool {
	return e.Transaction.Kind == ledger.KindSettlement && e.Amount.Sign() < 0
}

// add counts one more entry.
func (s *sums) add(e *ledger.AccountEntry, p part) error {
	if e.Amount.Sign() < 0 {
		s.refunds++
	} else {
		s.sales++
	}
	for _, x := range []struct {
		into *ledger.Amount
		more ledger.Amount
	}{{&s.gross, p.gross}, {&s.tips, p.tip}, {&s.refunded, p.refunded}, {&s.fees, p.fee}, {&s.net, e.Amount}} {
		sum, err := x.into.Add(x.more)
		if err != nil {
			return err
		}
		*x.into = sum
	}
	return nil
}

// document writes the documents of settlements that have none yet. It reads nothing
// but the books, so replicas that do it at the same time write the same.
func (s *Settler) document(ctx context.Context, a *unsettled) error {
	settled, err := s.store.Queries().GetSettledVersion(ctx, a.ID)
	if err != nil {
		return fmt.Errorf("reading settlements: %w", err)
	}
	var total sums
	for version := settled; ; {
		page, err := s.ledger.EntriesAfter(ctx, ledger.AccountID(a.ID), version, entryPage)
		if err != nil || len(page) == 0 {
			return err
		}
		parts, err := partsOf(ctx, s.store.Queries(), page)
		if err != nil {
			return err
		}
		for i := range page {
			e := &page[i]
			version = e.Version
			if !isSettlement(e) {
				if err := total.add(e, parts[i]); err != nil {
					return err
				}
				continue
			}
			if moved := e.Amount.Neg(); total.net != moved {
				return fmt.Errorf("version %d moved %s, the entries before it add up to %s", e.Version, moved, total.net)
			}
			err := s.store.Queries().InsertSettlement(ctx, store.InsertSettlementParams{
				ID: e.Transaction.ID, MerchantID: a.merchant, AccountID: a.ID, AssetID: a.AssetID,
				FirstVersion: settled + 1, LastVersion: e.Version, SaleCount: total.sales, RefundCount: total.refunds,
				Gross: total.gross.String(), Tips: total.tips.String(), Refunds: total.refunded.String(), Fees: total.fees.String(),
				Net: total.net.String(), CreateTime: e.Transaction.CreateTime,
			})
			if err != nil {
				return fmt.Errorf("writing a settlement: %w", err)
			}
			settled, total = e.Version, sums{}
		}
	}
}

// partsOf reads the entries of a page. What the checkouts that they pay say is how much
// of it are tips.
func partsOf(ctx context.Context, q *store.Queries, page []ledger.AccountEntry) ([]part, error) {
	sold, err := checkoutsOf(ctx, q, page)
	if err != nil {
		return nil, err
	}
	parts := make([]part, len(page))
	for i := range page {
		e := &page[i]
		if parts[i], err = partOf(e); err != nil {
			return nil, err
		}
		of, ok := sold[e.Transaction.ID]
		if !ok || e.Amount.Sign() < 0 {
			continue
		}
		amount, err := ledger.ParseDecimal(of.Amount, 0)
		if err != nil {
			return nil, err
		}
		if parts[i].tip, err = tipOf(parts[i].gross, amount); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// checkoutsOf finds the checkouts that the transactions of some entries pay or give
// back.
func checkoutsOf(ctx context.Context, q *store.Queries, entries []ledger.AccountEntry) (map[uuid.UUID]store.ListCheckoutsOfTransactionsRow, error) {
	ids := make([]uuid.UUID, len(entries))
	for i := range entries {
		ids[i] = entries[i].Transaction.ID
	}
	rows, err := q.ListCheckoutsOfTransactions(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("finding the checkouts of transactions: %w", err)
	}
	found := make(map[uuid.UUID]store.ListCheckoutsOfTransactionsRow, len(rows))
	for _, r := range rows {
		found[r.TransactionID] = r
	}
	return found, nil
}
