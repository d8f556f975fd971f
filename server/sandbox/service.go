package sandbox

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	sandboxv1 "github.com/tillbook/tillbook/gen/tillbook/sandbox/v1"
	"github.com/tillbook/tillbook/gen/tillbook/sandbox/v1/sandboxv1connect"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/phone"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// Deps is what the service works with.
type Deps struct {
	// Store reads users and messages.
	Store *store.Store
	// Ledger holds the money.
	Ledger *ledger.Ledger
	// View shows a transaction as a user sees it: wallet.Service.View.
	View func(ctx context.Context, user uuid.UUID, t *ledger.Transaction) (*walletv1.Transaction, error)
}

// Service implements SandboxService.
type Service struct {
	store  *store.Store
	ledger *ledger.Ledger
	view   func(ctx context.Context, user uuid.UUID, t *ledger.Transaction) (*walletv1.Transaction, error)
}

var _ sandboxv1connect.SandboxServiceHandler = (*Service)(nil)

// New returns the service. It starts nothing and needs no closing.
func New(deps Deps) *Service {
	return &Service{store: deps.Store, ledger: deps.Ledger, view: deps.View}
}

// ListMessages lists what was "sent" to a number, newest first.
func (s *Service) ListMessages(ctx context.Context, req *sandboxv1.ListMessagesRequest) (*sandboxv1.ListMessagesResponse, error) {
	number, err := phone.Parse(req.GetPhoneNumber())
	if err != nil {
		return nil, err
	}
	kind := rpc.PageKind(sandboxv1connect.SandboxServiceListMessagesProcedure, string(number))
	before := int64(math.MaxInt64)
	if token := req.GetPageToken(); token != "" {
		if err := rpc.DecodePageToken(kind, token, &before); err != nil {
			return nil, err
		}
	}
	// One more than a page shows whether there is another.
	size := rpc.PageSize(req.GetPageSize())
	rows, err := s.store.Queries().ListSandboxMessages(ctx, store.ListSandboxMessagesParams{
		PhoneNumber: string(number), BeforeID: before, MaxRows: int32(size + 1),
	})
	if err != nil {
		return nil, fmt.Errorf("listing messages: %w", err)
	}
	res := &sandboxv1.ListMessagesResponse{}
	if len(rows) > size {
		rows = rows[:size]
		res.NextPageToken = rpc.EncodePageToken(kind, rows[size-1].ID)
	}
	for i := range rows {
		res.Messages = append(res.GetMessages(), messageMessage(&rows[i]))
	}
	return res, nil
}

// Fund gives a user money from outside.
func (s *Service) Fund(ctx context.Context, req *sandboxv1.FundRequest) (*sandboxv1.FundResponse, error) {
	value, err := money.ParsePositive(ctx, s.ledger, req.GetAmount(), "amount")
	if err != nil {
		return nil, err
	}
	user, err := s.user(ctx, req.GetPhoneNumber())
	if err != nil {
		return nil, err
	}
	cmd, err := s.funding(ctx, user, value)
	if err != nil {
		return nil, err
	}
	cmd.Key = ledger.NewKey("sandbox/"+id.Format(id.User, user), req.GetIdempotencyKey())
	result, err := s.ledger.Commit(ctx, cmd)
	if err != nil {
		return nil, err
	}
	shown, err := s.view(ctx, user, &result.Transaction)
	if err != nil {
		return nil, rpc.AsError(err).WithOutcome(errorv1.Outcome_OUTCOME_EXECUTED)
	}
	return &sandboxv1.FundResponse{Transaction: shown}, nil
}

// user finds whose number it is.
func (s *Service) user(ctx context.Context, text string) (uuid.UUID, error) {
	number, err := phone.Parse(text)
	if err != nil {
		return uuid.Nil, err
	}
	row, err := s.store.Queries().FindPayeeByPhone(ctx, string(number))
	if errors.Is(err, pgx.ErrNoRows) {
		return uuid.Nil, rpc.NewError(errorv1.ErrorReason_ERROR_REASON_RECIPIENT_NOT_FOUND,
			"Nobody has this phone number.").
			WithField("phone_number", "must be that of a user").WithCause(err)
	}
	if err != nil {
		return uuid.Nil, fmt.Errorf("finding the user: %w", err)
	}
	return row.ID, nil
}

// funding is the command that moves money from outside to a user, but for its
// key. It opens the accounts that it needs.
func (s *Service) funding(ctx context.Context, user uuid.UUID, value money.Value) (ledger.Command, error) {
	from, err := s.ledger.OpenAccount(ctx, ledger.AccountSpec{
		Code: money.SandboxAccount(value.Asset), Asset: value.Asset.ID, Unbounded: true,
	})
	if err != nil {
		return ledger.Command{}, err
	}
	to, err := s.ledger.OpenAccount(ctx, ledger.AccountSpec{
		Code: money.UserAccount(user, value.Asset), Asset: value.Asset.ID,
	})
	if err != nil {
		return ledger.Command{}, err
	}
	return ledger.Command{
		Fingerprint: ledger.Fingerprint("fund", id.Format(id.User, user), value.Asset.Code, value.Amount.String()),
		Kind:        ledger.KindFunding,
		Accounts:    []ledger.AccountID{from, to},
		Decide:      ledger.Transfer(from, to, value.Amount, ""),
	}, nil
}
