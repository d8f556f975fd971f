package ledger

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	"github.com/tillbook/tillbook/gen/tillbook/ledger/v1/ledgerv1connect"
	"github.com/tillbook/tillbook/server/checkout"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/id"
	books "github.com/tillbook/tillbook/store/ledger"
)

// holdLife is how long a hold lasts whose request doesn't say.
const holdLife = 7 * 24 * time.Hour

// CreateHold sets money aside.
func (s *Service) CreateHold(ctx context.Context, req *ledgerv1.CreateHoldRequest) (*ledgerv1.CreateHoldResponse, error) {
	value, err := money.ParsePositive(ctx, s.books, req.GetAmount(), "amount")
	if err != nil {
		return nil, err
	}
	account, asset, err := s.books.LookupAccount(ctx, req.GetAccount())
	switch {
	case errors.Is(err, books.ErrAccountNotFound):
		return nil, rpc.AsError(err).WithField("account", "must be the code of an account")
	case err != nil:
		return nil, err
	case asset != value.Asset.ID:
		return nil, otherAsset("amount")
	}
	// The default is counted from now on, so it is no part of what a retry has to
	// repeat.
	expire, said := s.now().Add(holdLife), ""
	if t := req.GetExpireTime(); t != nil {
		if err := t.CheckValid(); err != nil {
			return nil, books.ErrExpireTime
		}
		expire, said = t.AsTime(), t.AsTime().Format(time.RFC3339Nano)
	}
	result, err := s.books.CreateHold(ctx,
		identity(ctx, req.GetIdempotencyKey(), "hold", req.GetAccount(), value.Amount.String(), said, req.GetReference(),
			strconv.Itoa(int(req.GetExcessBasisPoints()))),
		books.NewHold{
			Account: account, Amount: value.Amount, ExcessBPS: int(req.GetExcessBasisPoints()),
			Reference: req.GetReference(), ExpireTime: expire,
		})
	hold, err := s.changed(ctx, &result, err)
	if err != nil {
		return nil, err
	}
	return &ledgerv1.CreateHoldResponse{Hold: hold}, nil
}

// IncreaseHold adds to a hold.
func (s *Service) IncreaseHold(ctx context.Context, req *ledgerv1.IncreaseHoldRequest) (*ledgerv1.IncreaseHoldResponse, error) {
	hold, err := s.findHold(ctx, req.GetHoldId())
	if err != nil {
		return nil, err
	}
	value, err := money.ParsePositive(ctx, s.books, req.GetAmount(), "amount")
	if err != nil {
		return nil, err
	}
	if value.Asset.ID != hold.Asset {
		return nil, otherAsset("amount")
	}
	result, err := s.books.IncreaseHold(ctx,
		identity(ctx, req.GetIdempotencyKey(), "increase", req.GetHoldId(), value.Amount.String()), hold.ID, value.Amount)
	shown, err := s.changed(ctx, &result, err)
	if err != nil {
		return nil, err
	}
	return &ledgerv1.IncreaseHoldResponse{Hold: shown}, nil
}

// CaptureHold moves held money.
func (s *Service) CaptureHold(ctx context.Context, req *ledgerv1.CaptureHoldRequest) (*ledgerv1.CaptureHoldResponse, error) {
	hold, err := s.findHold(ctx, req.GetHoldId())
	if err != nil {
		return nil, err
	}
	credits, parts, err := s.credits(ctx, &hold, req.GetCredits())
	if err != nil {
		return nil, err
	}
	events, err := s.checkouts.HoldEvents(ctx, hold.ID, checkout.Succeed)
	if err != nil {
		return nil, err
	}
	final := "partial"
	if req.GetFinal() {
		final = "final"
	}
	result, err := s.books.CaptureHold(ctx,
		identity(ctx, req.GetIdempotencyKey(), append([]string{"capture", req.GetHoldId(), final, req.GetReason()}, parts...)...),
		books.Capture{
			Hold: hold.ID, Credits: credits, Final: req.GetFinal(), Note: req.GetReason(),
			Details: detailsOf(rpc.PrincipalFrom(ctx).Operator), Events: events,
		})
	shown, err := s.changed(ctx, &result, err)
	if err != nil {
		return nil, err
	}
	t, err := s.executed(ctx, &result.Transaction)
	if err != nil {
		return nil, err
	}
	return &ledgerv1.CaptureHoldResponse{Transaction: t, Hold: shown}, nil
}

// credits reads where a capture goes.
func (s *Service) credits(ctx context.Context, hold *books.Hold, list []*ledgerv1.Posting) (credits []books.Posting, parts []string, err error) {
	postings, err := s.parse(ctx, list, "credits")
	if err != nil {
		return nil, nil, err
	}
	for i := range postings {
		p := &postings[i]
		switch {
		case p.value.Amount.Sign() < 0:
			return nil, nil, rpc.NewError(errorv1.ErrorReason_ERROR_REASON_AMOUNT_NOT_POSITIVE, "What is captured must be greater than zero.").
				WithField(p.path+".amount.amount", "must be greater than zero")
		case p.value.Asset.ID != hold.Asset:
			return nil, nil, refusal(books.ErrAccountAsset, p)
		case p.code == hold.Code:
			return nil, nil, rpc.NewError(errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "A hold can't be captured into its own account.").
				WithField(p.path+".account", "must be another account than the hold's")
		}
	}
	if err := s.resolve(ctx, postings); err != nil {
		return nil, nil, err
	}
	for _, p := range postings {
		credits = append(credits, books.Posting{Account: p.account, Amount: p.value.Amount})
	}
	for _, p := range sorted(postings) {
		parts = append(parts, p.code, p.value.Amount.String())
	}
	return credits, parts, nil
}

// VoidHold gives up a hold.
func (s *Service) VoidHold(ctx context.Context, req *ledgerv1.VoidHoldRequest) (*ledgerv1.VoidHoldResponse, error) {
	hold, err := s.findHold(ctx, req.GetHoldId())
	if err != nil {
		return nil, err
	}
	events, err := s.checkouts.HoldEvents(ctx, hold.ID, checkout.Cancel)
	if err != nil {
		return nil, err
	}
	result, err := s.books.VoidHold(ctx, identity(ctx, req.GetIdempotencyKey(), "void", req.GetHoldId()), hold.ID, events...)
	shown, err := s.changed(ctx, &result, err)
	if err != nil {
		return nil, err
	}
	return &ledgerv1.VoidHoldResponse{Hold: shown}, nil
}

// GetHold returns a hold.
func (s *Service) GetHold(ctx context.Context, req *ledgerv1.GetHoldRequest) (*ledgerv1.GetHoldResponse, error) {
	hold, err := s.findHold(ctx, req.GetHoldId())
	if err != nil {
		return nil, err
	}
	shown, err := s.hold(ctx, &hold)
	if err != nil {
		return nil, err
	}
	return &ledgerv1.GetHoldResponse{Hold: shown}, nil
}

// ListHolds lists an account's holds.
func (s *Service) ListHolds(ctx context.Context, req *ledgerv1.ListHoldsRequest) (*ledgerv1.ListHoldsResponse, error) {
	kind := rpc.PageKind(ledgerv1connect.LedgerServiceListHoldsProcedure, req.GetAccount(), req.GetState().String())
	size := rpc.PageSize(req.GetPageSize())
	q := books.HoldsQuery{State: books.HoldState(req.GetState()), Limit: size + 1}
	if token := req.GetPageToken(); token != "" {
		if err := rpc.DecodePageToken(kind, token, &q.Before); err != nil {
			return nil, err
		}
	}
	account, _, err := s.books.LookupAccount(ctx, req.GetAccount())
	if err != nil {
		return nil, err
	}
	q.Accounts = []books.AccountID{account}
	holds, err := s.books.Holds(ctx, q)
	if err != nil {
		return nil, err
	}
	res := &ledgerv1.ListHoldsResponse{}
	if len(holds) > size {
		holds = holds[:size]
		res.NextPageToken = rpc.EncodePageToken(kind, holds[size-1].ID)
	}
	for i := range holds {
		shown, err := s.hold(ctx, &holds[i])
		if err != nil {
			return nil, err
		}
		res.Holds = append(res.GetHolds(), shown)
	}
	return res, nil
}

func (s *Service) findHold(ctx context.Context, text string) (books.Hold, error) {
	hold, err := id.Parse(id.Hold, text)
	if err != nil {
		return books.Hold{}, books.ErrHoldNotFound
	}
	return s.books.Hold(ctx, hold)
}

// changed shows the hold that a command changed, or says why it didn't.
func (s *Service) changed(ctx context.Context, result *books.Result, err error) (*ledgerv1.Hold, error) {
	if err != nil {
		return nil, money.ExplainLimit(ctx, s.books, err)
	}
	shown, err := s.hold(ctx, &result.Hold)
	if err != nil {
		return nil, rpc.AsError(err).WithOutcome(errorv1.Outcome_OUTCOME_EXECUTED)
	}
	return shown, nil
}

func (s *Service) hold(ctx context.Context, h *books.Hold) (*ledgerv1.Hold, error) {
	asset, err := s.books.AssetByID(ctx, h.Asset)
	if err != nil {
		return nil, err
	}
	shown := &ledgerv1.Hold{
		HoldId: id.Format(id.Hold, h.ID), Account: h.Code,
		Amount: money.Format(asset, h.Amount), Captured: money.Format(asset, h.Captured),
		Remaining:         money.Format(asset, h.Remaining()),
		ExcessBasisPoints: int32(h.ExcessBPS), State: ledgerv1.HoldState(h.State), Reference: h.Reference,
		CreateTime: timestamppb.New(h.CreateTime), ExpireTime: timestamppb.New(h.ExpireTime),
	}
	if !h.CloseTime.IsZero() {
		shown.CloseTime = timestamppb.New(h.CloseTime)
	}
	return shown, nil
}

// showRefunds adds what was given back of a transaction, and what it gives back.
func (s *Service) showRefunds(ctx context.Context, t *books.Transaction, shown *ledgerv1.Transaction) error {
	states, err := s.books.RefundStates(ctx, []uuid.UUID{t.ID})
	if err != nil {
		return err
	}
	state, ok := states[t.ID]
	if !ok {
		return nil
	}
	if state.Original != uuid.Nil {
		shown.OriginalTransactionId = id.Format(id.Transaction, state.Original)
	}
	if len(state.Refunds) == 0 {
		return nil
	}
	asset, err := s.books.AssetByID(ctx, t.Entries[0].Asset)
	if err != nil {
		return err
	}
	shown.Refunded = money.Format(asset, state.Refunded)
	for _, refund := range state.Refunds {
		shown.RefundTransactionIds = append(shown.GetRefundTransactionIds(), id.Format(id.Transaction, refund))
	}
	return nil
}
