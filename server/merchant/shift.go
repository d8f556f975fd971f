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
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/server/staff"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

var (
	errNoShift    = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_NOT_FOUND, "The merchant has no such shift.")
	errNoTerminal = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_NOT_FOUND, "The store has no such terminal.").
			WithField("terminal_id", "must be one of the store's terminals")
	errShiftOpen   = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_SHIFT_OPEN, "You, or the terminal, have an open shift. Close it first.")
	errOthersShift = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_PERMISSION_DENIED, "Cashiers close their own shifts.")
)

// openShift begins a shift, once for a key.
func (s *Service) openShift(ctx context.Context, m member, req *merchantv1.OpenShiftRequest) (*merchantv1.Shift, error) {
	at, err := s.findStore(ctx, m.merchant, req.GetStoreId())
	if err != nil {
		return nil, err
	}
	terminal, err := s.findTerminal(ctx, m.merchant, at, req.GetTerminalId())
	if err != nil {
		return nil, err
	}
	key := uuid.UUID(ledger.NewKey(money.UserScope(m.user)+"/shifts", req.GetIdempotencyKey()))
	fingerprint := ledger.Fingerprint("shift", req.GetMerchantId(), req.GetStoreId(), req.GetTerminalId())
	q := s.store.Queries()
	made, _, err := once(fingerprint,
		func() (uuid.UUID, error) {
			return q.OpenShift(ctx, store.OpenShiftParams{
				ID: id.New(), MerchantID: m.merchant, StoreID: at, TerminalID: terminal, UserID: m.user, KeyHash: key, Fingerprint: fingerprint[:],
			})
		},
		func() (uuid.UUID, []byte, error) {
			known, err := q.FindShiftByKey(ctx, key)
			if errors.Is(err, pgx.ErrNoRows) {
				err = errShiftOpen.WithCause(err) // then it wasn't the key that stood in the way
			}
			return known.ID, known.Fingerprint, err
		})
	if err != nil {
		return nil, err
	}
	return s.shift(ctx, m, made)
}

// findTerminal finds a terminal of a store; nil if none is named.
func (s *Service) findTerminal(ctx context.Context, merchant, at uuid.UUID, text string) (*uuid.UUID, error) {
	if text == "" {
		return nil, nil
	}
	terminal, err := id.Parse(id.Terminal, text)
	if err != nil {
		return nil, errNoTerminal.WithCause(err)
	}
	found, err := s.store.Queries().FindTerminalStore(ctx, store.FindTerminalStoreParams{ID: terminal, MerchantID: merchant})
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("reading a terminal: %w", err)
	}
	if err != nil || found != at {
		return nil, errNoTerminal.WithCause(err)
	}
	return &terminal, nil
}

// closeShift ends a shift. Closing again answers as the first time.
func (s *Service) closeShift(ctx context.Context, m member, text string) (*merchantv1.Shift, error) {
	wanted, err := id.Parse(id.Shift, text)
	if err != nil {
		return nil, errNoShift.WithCause(err)
	}
	q := s.store.Queries()
	found, err := q.GetShift(ctx, store.GetShiftParams{ID: wanted, MerchantID: m.merchant})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errNoShift.WithCause(err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading a shift: %w", err)
	}
	if m.role == staff.Cashier && found.UserID != m.user {
		return nil, errOthersShift
	}
	if err := q.CloseShift(ctx, wanted); err != nil {
		return nil, fmt.Errorf("closing a shift: %w", err)
	}
	return s.shift(ctx, m, wanted)
}

func (s *Service) shift(ctx context.Context, m member, wanted uuid.UUID) (*merchantv1.Shift, error) {
	row, err := s.store.Queries().GetShift(ctx, store.GetShiftParams{ID: wanted, MerchantID: m.merchant})
	if err != nil {
		return nil, fmt.Errorf("reading a shift: %w", err)
	}
	return s.shiftMessage(ctx, &row)
}

func (s *Service) listShifts(ctx context.Context, m member, req *merchantv1.ListShiftsRequest) (shown []*merchantv1.Shift, next string, err error) {
	q := store.ListShiftsParams{MerchantID: m.merchant}
	whose := ""
	if m.role == staff.Cashier {
		q.UserID, whose = &m.user, m.user.String()
	}
	p, err := newPage(req, merchantv1connect.MerchantServiceListShiftsProcedure, req.GetMerchantId(), whose)
	if err != nil {
		return nil, "", err
	}
	q.BeforeID, q.MaxRows = p.before, p.rows()
	list, err := s.store.Queries().ListShifts(ctx, q)
	if err != nil {
		return nil, "", fmt.Errorf("listing shifts: %w", err)
	}
	list, next = cut(p, list, func(r *store.Shift) uuid.UUID { return r.ID })
	for i := range list {
		m, err := s.shiftMessage(ctx, &list[i])
		if err != nil {
			return nil, "", err
		}
		shown = append(shown, m)
	}
	return shown, next, nil
}

func (s *Service) shiftMessage(ctx context.Context, r *store.Shift) (*merchantv1.Shift, error) {
	shown := &merchantv1.Shift{
		ShiftId: id.Format(id.Shift, r.ID), StoreId: id.Format(id.Store, r.StoreID), TerminalId: formatAny(id.Terminal, r.TerminalID),
		UserId: id.Format(id.User, r.UserID), OpenTime: timestamppb.New(r.OpenTime),
	}
	if r.CloseTime != nil {
		shown.CloseTime = timestamppb.New(*r.CloseTime)
	}
	var err error
	shown.Totals, err = s.shiftTotals(ctx, r)
	return shown, err
}
