package merchant

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"

	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
	"github.com/tillbook/tillbook/server/checkout"
	"github.com/tillbook/tillbook/server/rate"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/server/staff"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// Deps is what the service works with.
type Deps struct {
	// Store keeps merchants and what belongs to them.
	Store *store.Store
	// Ledger holds the money.
	Ledger *ledger.Ledger
	// Checkouts is where sales are made.
	Checkouts *checkout.Desk
	// Limiter bounds how often somebody makes merchants, invites others and exports.
	Limiter *rate.Limiter
	// Events follows what happens, so that this doesn't wait for connections behind
	// calls. Default: Store.
	Events *store.Store
	// Past is where reports of days that are over are read. Default: Store.
	Past *store.Past
	// TerminalReady says whether one of a merchant's terminals can show a checkout; it
	// fails with TERMINAL_UNAVAILABLE if not. Default: all can.
	TerminalReady func(ctx context.Context, merchant, terminal uuid.UUID) error
	// Logger gets what an operator should know. Default: nothing is logged.
	Logger *slog.Logger
	// Clock tells the time. Default time.Now.
	Clock func() time.Time
	// Watch tunes WatchMerchant.
	Watch WatchConfig
}

// Service implements MerchantService.
type Service struct {
	store         *store.Store
	ledger        *ledger.Ledger
	checkouts     *checkout.Desk
	limiter       *rate.Limiter
	past          *store.Past
	terminalReady func(ctx context.Context, merchant, terminal uuid.UUID) error
	now           func() time.Time
	follower      *follower
	watchers      *watchers
	watching      WatchConfig
}

var _ merchantv1connect.MerchantServiceHandler = (*Service)(nil)

// New returns the service. It starts nothing and needs no closing; see Run.
func New(deps Deps) *Service {
	if deps.Clock == nil {
		deps.Clock = time.Now
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	if deps.TerminalReady == nil {
		deps.TerminalReady = func(context.Context, uuid.UUID, uuid.UUID) error { return nil }
	}
	if deps.Events == nil {
		deps.Events = deps.Store
	}
	deps.Watch.setDefaults()
	return &Service{
		store: deps.Store, ledger: deps.Ledger, checkouts: deps.Checkouts, limiter: deps.Limiter, past: deps.Past,
		terminalReady: deps.TerminalReady, now: deps.Clock, watching: deps.Watch,
		follower: newFollower(deps.Events, deps.Logger, deps.Watch.PollInterval),
		watchers: &watchers{max: deps.Watch.MaxPerUser, open: make(map[uuid.UUID]int)},
	}
}

// Run wakes the streams of WatchMerchant until the context ends. Without it they send
// what happens only with their heartbeats.
func (s *Service) Run(ctx context.Context) { s.follower.run(ctx) }

// member is a caller as one of a merchant's staff.
type member struct {
	user     uuid.UUID
	merchant uuid.UUID
	role     staff.Role
}

// member finds the caller's role, which must be at least as high as the one wanted. It
// fails with NOT_FOUND or PERMISSION_DENIED.
func (s *Service) member(ctx context.Context, merchant string, least staff.Role) (member, error) {
	m := member{user: rpc.PrincipalFrom(ctx).User}
	var err error
	m.merchant, m.role, err = staff.Require(ctx, s.store.Queries(), merchant, m.user, least)
	return m, err
}

// CreateMerchant makes the caller the owner of a new merchant.
func (s *Service) CreateMerchant(ctx context.Context, req *merchantv1.CreateMerchantRequest) (*merchantv1.CreateMerchantResponse, error) {
	made, err := s.createMerchant(ctx, rpc.PrincipalFrom(ctx).User, req)
	return &merchantv1.CreateMerchantResponse{Merchant: made}, err
}

// GetMerchant returns a merchant, with its balances for those who may see them.
func (s *Service) GetMerchant(ctx context.Context, req *merchantv1.GetMerchantRequest) (*merchantv1.GetMerchantResponse, error) {
	m, err := s.member(ctx, req.GetMerchantId(), staff.Cashier)
	if err != nil {
		return nil, err
	}
	res := &merchantv1.GetMerchantResponse{}
	if res.Merchant, err = s.merchant(ctx, m.merchant, m.user); err != nil || m.role > staff.Manager {
		return res, err
	}
	res.Balances, err = s.balances(ctx, m.merchant)
	return res, err
}

// ListMerchants lists where the caller works.
func (s *Service) ListMerchants(ctx context.Context, req *merchantv1.ListMerchantsRequest) (*merchantv1.ListMerchantsResponse, error) {
	list, next, err := s.listMerchants(ctx, rpc.PrincipalFrom(ctx).User, req)
	return &merchantv1.ListMerchantsResponse{Merchants: list, NextPageToken: next}, err
}

// SetSettlementSchedule says when sales become available from now on.
func (s *Service) SetSettlementSchedule(ctx context.Context, req *merchantv1.SetSettlementScheduleRequest) (*merchantv1.SetSettlementScheduleResponse, error) {
	m, err := s.member(ctx, req.GetMerchantId(), staff.Owner)
	if err != nil {
		return nil, err
	}
	if err := s.reschedule(ctx, m, req.GetSettlementSchedule()); err != nil {
		return nil, err
	}
	shown, err := s.merchant(ctx, m.merchant, m.user)
	return &merchantv1.SetSettlementScheduleResponse{Merchant: shown}, err
}

// CreateStore adds a store.
func (s *Service) CreateStore(ctx context.Context, req *merchantv1.CreateStoreRequest) (*merchantv1.CreateStoreResponse, error) {
	m, err := s.member(ctx, req.GetMerchantId(), staff.Manager)
	if err != nil {
		return nil, err
	}
	made, err := s.createStore(ctx, m, req)
	return &merchantv1.CreateStoreResponse{Store: made}, err
}

// ListStores lists a merchant's stores.
func (s *Service) ListStores(ctx context.Context, req *merchantv1.ListStoresRequest) (*merchantv1.ListStoresResponse, error) {
	m, err := s.member(ctx, req.GetMerchantId(), staff.Cashier)
	if err != nil {
		return nil, err
	}
	list, next, err := s.listStores(ctx, m, req)
	return &merchantv1.ListStoresResponse{Stores: list, NextPageToken: next}, err
}

// InviteStaff invites whoever has a phone number. Nothing says whether anybody does.
func (s *Service) InviteStaff(ctx context.Context, req *merchantv1.InviteStaffRequest) (*merchantv1.InviteStaffResponse, error) {
	m, err := s.member(ctx, req.GetMerchantId(), staff.Manager)
	if err != nil {
		return nil, err
	}
	made, err := s.invite(ctx, m, req)
	return &merchantv1.InviteStaffResponse{Invitation: made}, err
}

// ListInvitations lists those of a merchant, or the caller's own.
func (s *Service) ListInvitations(ctx context.Context, req *merchantv1.ListInvitationsRequest) (*merchantv1.ListInvitationsResponse, error) {
	m := member{user: rpc.PrincipalFrom(ctx).User}
	if req.GetMerchantId() != "" {
		var err error
		if m, err = s.member(ctx, req.GetMerchantId(), staff.Manager); err != nil {
			return nil, err
		}
	}
	list, next, err := s.listInvitations(ctx, m, req)
	return &merchantv1.ListInvitationsResponse{Invitations: list, NextPageToken: next}, err
}

// AcceptInvitation makes the caller a member of the staff.
func (s *Service) AcceptInvitation(ctx context.Context, req *merchantv1.AcceptInvitationRequest) (*merchantv1.AcceptInvitationResponse, error) {
	shown, err := s.accept(ctx, rpc.PrincipalFrom(ctx).User, req.GetInvitationId())
	return &merchantv1.AcceptInvitationResponse{Merchant: shown}, err
}

// DeclineInvitation refuses an invitation.
func (s *Service) DeclineInvitation(ctx context.Context, req *merchantv1.DeclineInvitationRequest) (*merchantv1.DeclineInvitationResponse, error) {
	shown, err := s.decline(ctx, rpc.PrincipalFrom(ctx).User, req.GetInvitationId())
	return &merchantv1.DeclineInvitationResponse{Invitation: shown}, err
}

// CancelInvitation takes an invitation back. It names no merchant, so whoever has no
// say there is told that there is no such invitation.
func (s *Service) CancelInvitation(ctx context.Context, req *merchantv1.CancelInvitationRequest) (*merchantv1.CancelInvitationResponse, error) {
	shown, err := s.cancelInvitation(ctx, rpc.PrincipalFrom(ctx).User, req.GetInvitationId())
	return &merchantv1.CancelInvitationResponse{Invitation: shown}, err
}

// ListStaff lists who works for a merchant.
func (s *Service) ListStaff(ctx context.Context, req *merchantv1.ListStaffRequest) (*merchantv1.ListStaffResponse, error) {
	m, err := s.member(ctx, req.GetMerchantId(), staff.Manager)
	if err != nil {
		return nil, err
	}
	list, next, err := s.listStaff(ctx, m, req)
	return &merchantv1.ListStaffResponse{Staff: list, NextPageToken: next}, err
}

// RemoveStaff ends somebody's work for a merchant.
func (s *Service) RemoveStaff(ctx context.Context, req *merchantv1.RemoveStaffRequest) (*merchantv1.RemoveStaffResponse, error) {
	m, err := s.member(ctx, req.GetMerchantId(), staff.Cashier)
	if err != nil {
		return nil, err
	}
	return &merchantv1.RemoveStaffResponse{}, s.removeStaff(ctx, m, req.GetUserId())
}

// CreateCheckout begins a sale.
func (s *Service) CreateCheckout(ctx context.Context, req *merchantv1.CreateCheckoutRequest) (*merchantv1.CreateCheckoutResponse, error) {
	m, err := s.member(ctx, req.GetMerchantId(), staff.Cashier)
	if err != nil {
		return nil, err
	}
	made, err := s.createCheckout(ctx, m, req)
	return &merchantv1.CreateCheckoutResponse{Checkout: made}, err
}

// GetCheckout returns one of a merchant's checkouts.
func (s *Service) GetCheckout(ctx context.Context, req *merchantv1.GetCheckoutRequest) (*merchantv1.GetCheckoutResponse, error) {
	m, err := s.member(ctx, req.GetMerchantId(), staff.Cashier)
	if err != nil {
		return nil, err
	}
	found, err := s.checkouts.Get(ctx, checkout.Scope{Merchant: m.merchant}, req.GetCheckoutId())
	shown, err := s.showCheckout(ctx, found, err)
	return &merchantv1.GetCheckoutResponse{Checkout: shown}, err
}

// ListCheckouts lists a merchant's checkouts.
func (s *Service) ListCheckouts(ctx context.Context, req *merchantv1.ListCheckoutsRequest) (*merchantv1.ListCheckoutsResponse, error) {
	m, err := s.member(ctx, req.GetMerchantId(), staff.Cashier)
	if err != nil {
		return nil, err
	}
	list, next, err := s.listCheckouts(ctx, m, req)
	return &merchantv1.ListCheckoutsResponse{Checkouts: list, NextPageToken: next}, err
}

// CancelCheckout ends a checkout that isn't paid, or gives an authorized one's money
// free.
func (s *Service) CancelCheckout(ctx context.Context, req *merchantv1.CancelCheckoutRequest) (*merchantv1.CancelCheckoutResponse, error) {
	m, err := s.member(ctx, req.GetMerchantId(), staff.Cashier)
	if err != nil {
		return nil, err
	}
	ended, err := s.checkouts.Cancel(ctx, checkout.Scope{Merchant: m.merchant}, req.GetCheckoutId())
	shown, err := s.changed(ctx, ended, err)
	return &merchantv1.CancelCheckoutResponse{Checkout: shown}, err
}

// CaptureCheckout takes the money of an authorized checkout.
func (s *Service) CaptureCheckout(ctx context.Context, req *merchantv1.CaptureCheckoutRequest) (*merchantv1.CaptureCheckoutResponse, error) {
	m, err := s.member(ctx, req.GetMerchantId(), staff.Cashier)
	if err != nil {
		return nil, err
	}
	captured, err := s.checkouts.Capture(ctx, &checkout.Change{
		By: checkout.Caller{User: m.user}, Key: req.GetIdempotencyKey(), Merchant: m.merchant, Checkout: req.GetCheckoutId(), Amount: req.GetAmount(),
	})
	shown, err := s.changed(ctx, captured, err)
	return &merchantv1.CaptureCheckoutResponse{Checkout: shown}, err
}

// RefundCheckout gives a paid checkout's money back.
func (s *Service) RefundCheckout(ctx context.Context, req *merchantv1.RefundCheckoutRequest) (*merchantv1.RefundCheckoutResponse, error) {
	m, err := s.member(ctx, req.GetMerchantId(), staff.Manager)
	if err != nil {
		return nil, err
	}
	refunded, by, err := s.checkouts.Refund(ctx, &checkout.Change{
		By: checkout.Caller{User: m.user}, Key: req.GetIdempotencyKey(), Merchant: m.merchant, Checkout: req.GetCheckoutId(), Amount: req.GetAmount(),
	})
	shown, err := s.changed(ctx, refunded, err)
	return &merchantv1.RefundCheckoutResponse{Checkout: shown, TransactionId: id.Format(id.Transaction, by)}, err
}

// WatchMerchant streams what happens at a merchant.
func (s *Service) WatchMerchant(ctx context.Context, req *merchantv1.WatchMerchantRequest, stream merchantv1connect.MerchantServiceWatchMerchantServerStream) error {
	m, err := s.member(ctx, req.GetMerchantId(), staff.Cashier)
	if err != nil {
		return err
	}
	return s.watchMerchant(ctx, m, req.GetResumeToken(), stream)
}

// WithdrawFunds takes available money to the owner's wallet.
func (s *Service) WithdrawFunds(ctx context.Context, req *merchantv1.WithdrawFundsRequest) (*merchantv1.WithdrawFundsResponse, error) {
	m, err := s.member(ctx, req.GetMerchantId(), staff.Owner)
	if err != nil {
		return nil, err
	}
	return s.withdraw(ctx, m, req)
}

// ListSettlements lists a merchant's settlements.
func (s *Service) ListSettlements(ctx context.Context, req *merchantv1.ListSettlementsRequest) (*merchantv1.ListSettlementsResponse, error) {
	m, err := s.member(ctx, req.GetMerchantId(), staff.Manager)
	if err != nil {
		return nil, err
	}
	list, next, err := s.listSettlements(ctx, m, req)
	return &merchantv1.ListSettlementsResponse{Settlements: list, NextPageToken: next}, err
}

// GetSettlement returns a settlement with what is in it.
func (s *Service) GetSettlement(ctx context.Context, req *merchantv1.GetSettlementRequest) (*merchantv1.GetSettlementResponse, error) {
	m, err := s.member(ctx, req.GetMerchantId(), staff.Manager)
	if err != nil {
		return nil, err
	}
	return s.settlement(ctx, m, req)
}

// GetDayReport sums a day up.
func (s *Service) GetDayReport(ctx context.Context, req *merchantv1.GetDayReportRequest) (*merchantv1.GetDayReportResponse, error) {
	m, err := s.member(ctx, req.GetMerchantId(), staff.Manager)
	if err != nil {
		return nil, err
	}
	return s.dayReport(ctx, m, req)
}

// ExportDayReport writes a day's sales and refunds as CSV.
func (s *Service) ExportDayReport(ctx context.Context, req *merchantv1.ExportDayReportRequest, stream merchantv1connect.MerchantServiceExportDayReportServerStream) error {
	m, err := s.member(ctx, req.GetMerchantId(), staff.Manager)
	if err != nil {
		return err
	}
	return s.exportDay(ctx, m, req, stream)
}

// OpenShift begins the caller's shift.
func (s *Service) OpenShift(ctx context.Context, req *merchantv1.OpenShiftRequest) (*merchantv1.OpenShiftResponse, error) {
	m, err := s.member(ctx, req.GetMerchantId(), staff.Cashier)
	if err != nil {
		return nil, err
	}
	shown, err := s.openShift(ctx, m, req)
	return &merchantv1.OpenShiftResponse{Shift: shown}, err
}

// CloseShift ends a shift.
func (s *Service) CloseShift(ctx context.Context, req *merchantv1.CloseShiftRequest) (*merchantv1.CloseShiftResponse, error) {
	m, err := s.member(ctx, req.GetMerchantId(), staff.Cashier)
	if err != nil {
		return nil, err
	}
	shown, err := s.closeShift(ctx, m, req.GetShiftId())
	return &merchantv1.CloseShiftResponse{Shift: shown}, err
}

// ListShifts lists a merchant's shifts; cashiers see their own.
func (s *Service) ListShifts(ctx context.Context, req *merchantv1.ListShiftsRequest) (*merchantv1.ListShiftsResponse, error) {
	m, err := s.member(ctx, req.GetMerchantId(), staff.Cashier)
	if err != nil {
		return nil, err
	}
	list, next, err := s.listShifts(ctx, m, req)
	return &merchantv1.ListShiftsResponse{Shifts: list, NextPageToken: next}, err
}

// SetFeePlan makes or replaces a fee plan.
func (s *Service) SetFeePlan(ctx context.Context, req *merchantv1.SetFeePlanRequest) (*merchantv1.SetFeePlanResponse, error) {
	shown, err := s.setFeePlan(ctx, req.GetFeePlan())
	return &merchantv1.SetFeePlanResponse{FeePlan: shown}, err
}

// ListFeePlans lists the fee plans.
func (s *Service) ListFeePlans(ctx context.Context, req *merchantv1.ListFeePlansRequest) (*merchantv1.ListFeePlansResponse, error) {
	list, next, err := s.listFeePlans(ctx, req)
	return &merchantv1.ListFeePlansResponse{FeePlans: list, NextPageToken: next}, err
}

// AssignFeePlan puts a merchant on a fee plan.
func (s *Service) AssignFeePlan(ctx context.Context, req *merchantv1.AssignFeePlanRequest) (*merchantv1.AssignFeePlanResponse, error) {
	return &merchantv1.AssignFeePlanResponse{}, s.assignFeePlan(ctx, req)
}
