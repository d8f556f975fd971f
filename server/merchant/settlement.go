package merchant

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

var errNoSettlement = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_NOT_FOUND, "The merchant has no such settlement.")

func (s *Service) listSettlements(ctx context.Context, m member, req *merchantv1.ListSettlementsRequest) (shown []*merchantv1.Settlement, next string, err error) {
	p, err := newPage(req, merchantv1connect.MerchantServiceListSettlementsProcedure, req.GetMerchantId())
	if err != nil {
		return nil, "", err
	}
	list, err := s.store.Queries().ListSettlements(ctx, store.ListSettlementsParams{MerchantID: m.merchant, BeforeID: p.before, MaxRows: p.rows()})
	if err != nil {
		return nil, "", fmt.Errorf("listing settlements: %w", err)
	}
	list, next = cut(p, list, func(r *store.ListSettlementsRow) uuid.UUID { return r.ID })
	for i := range list {
		m, err := s.settlementMessage(ctx, &list[i])
		if err != nil {
			return nil, "", err
		}
		shown = append(shown, m)
	}
	return shown, next, nil
}

// settlement shows a settlement with a page of what is in it, oldest first. Where the
// page begins is the version of an entry.
func (s *Service) settlement(ctx context.Context, m member, req *merchantv1.GetSettlementRequest) (*merchantv1.GetSettlementResponse, error) {
	wanted, err := id.Parse(id.Settlement, req.GetSettlementId())
	if err != nil {
		return nil, errNoSettlement.WithCause(err)
	}
	found, err := s.store.Queries().GetSettlement(ctx, store.GetSettlementParams{ID: wanted, MerchantID: m.merchant})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errNoSettlement.WithCause(err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading a settlement: %w", err)
	}
	kind := rpc.PageKind(merchantv1connect.MerchantServiceGetSettlementProcedure, req.GetSettlementId())
	size, after := rpc.PageSize(req.GetPageSize()), found.FirstVersion-1
	if token := req.GetPageToken(); token != "" {
		if err := rpc.DecodePageToken(kind, token, &after); err != nil {
			return nil, err
		}
	}
	after = max(after, found.FirstVersion-1) // tokens aren't signed
	row := store.ListSettlementsRow(found)
	res := &merchantv1.GetSettlementResponse{}
	if res.Settlement, err = s.settlementMessage(ctx, &row); err != nil {
		return nil, err
	}
	last := found.LastVersion - 1
	if last-after > int64(size) {
		last = after + int64(size)
		res.NextPageToken = rpc.EncodePageToken(kind, last)
	}
	res.Lines, err = s.settlementLines(ctx, ledger.AccountID(found.AccountID), after, last)
	return res, err
}

// settlementLines shows entries of a pending account behind one version and up to
// another.
func (s *Service) settlementLines(ctx context.Context, account ledger.AccountID, after, last int64) ([]*merchantv1.SettlementLine, error) {
	if last <= after {
		return nil, nil
	}
	entries, err := s.ledger.EntriesAfter(ctx, account, after, int(last-after))
	if err != nil {
		return nil, err
	}
	sold, err := checkoutsOf(ctx, s.store.Queries(), entries)
	if err != nil {
		return nil, err
	}
	lines := make([]*merchantv1.SettlementLine, len(entries))
	for i := range entries {
		e := &entries[i]
		asset, err := s.ledger.AssetByID(ctx, e.Asset)
		if err != nil {
			return nil, err
		}
		lines[i] = &merchantv1.SettlementLine{
			TransactionId: id.Format(id.Transaction, e.Transaction.ID), Net: money.Format(asset, e.Amount),
			CreateTime: timestamppb.New(e.Transaction.CreateTime),
		}
		if of, ok := sold[e.Transaction.ID]; ok {
			lines[i].CheckoutId = id.Format(id.Checkout, of.CheckoutID)
		}
	}
	return lines, nil
}

func (s *Service) settlementMessage(ctx context.Context, r *store.ListSettlementsRow) (*merchantv1.Settlement, error) {
	shown := &merchantv1.Settlement{
		SettlementId: id.Format(id.Settlement, r.ID), MerchantId: id.Format(id.Merchant, r.MerchantID),
		SaleCount: uint32(r.SaleCount), RefundCount: uint32(r.RefundCount), TransactionId: id.Format(id.Transaction, r.ID),
		CutoffTime: timestamppb.New(r.CreateTime), CreateTime: timestamppb.New(r.CreateTime),
	}
	for _, x := range []struct {
		into  **moneyv1.Money
		units string
	}{{&shown.Gross, r.Gross}, {&shown.Tips, r.Tips}, {&shown.Refunds, r.Refunds}, {&shown.Fees, r.Fees}, {&shown.Net, r.Net}} {
		var err error
		if *x.into, err = s.money(ctx, r.AssetID, x.units); err != nil {
			return nil, err
		}
	}
	return shown, nil
}
