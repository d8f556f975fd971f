package user

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	userv1 "github.com/tillbook/tillbook/gen/tillbook/user/v1"
	"github.com/tillbook/tillbook/gen/tillbook/user/v1/userv1connect"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/phone"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/audit"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// Deps is what the service works with.
type Deps struct {
	// Store keeps the users and the record of what is done to them.
	Store *store.Store
	// Ledger knows their tiers.
	Ledger *ledger.Ledger
	// Clock tells the time. Default time.Now.
	Clock func() time.Time
}

// Service implements UserService.
type Service struct {
	store *store.Store
	books *ledger.Ledger
	now   func() time.Time
}

var _ userv1connect.UserServiceHandler = (*Service)(nil)

// New returns the service. It starts nothing and needs no closing.
func New(deps Deps) *Service {
	if deps.Clock == nil {
		deps.Clock = time.Now
	}
	return &Service{store: deps.Store, books: deps.Ledger, now: deps.Clock}
}

var errNotFound = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_NOT_FOUND, "There is no such user.")

// GetUser finds a user.
func (s *Service) GetUser(ctx context.Context, req *userv1.GetUserRequest) (*userv1.GetUserResponse, error) {
	var by store.FindUserForOperatorParams
	switch req.GetUser().(type) {
	case *userv1.GetUserRequest_PhoneNumber:
		number, err := phone.Parse(req.GetPhoneNumber())
		if err != nil {
			return nil, err
		}
		by.PhoneNumber = string(number)
	case *userv1.GetUserRequest_Username:
		by.Username = req.GetUsername()
	default:
		user, err := id.Parse(id.User, req.GetUserId())
		if err != nil {
			return nil, errNotFound.WithCause(err)
		}
		by.ID = user
	}
	shown, err := s.find(ctx, by)
	if err != nil {
		return nil, err
	}
	return &userv1.GetUserResponse{User: shown}, nil
}

// SetTier says how far a user's identity is known.
func (s *Service) SetTier(ctx context.Context, req *userv1.SetTierRequest) (*userv1.SetTierResponse, error) {
	user, err := id.Parse(id.User, req.GetUserId())
	if err != nil {
		return nil, errNotFound.WithCause(err)
	}
	err = s.store.InTx(ctx, func(ctx context.Context, q *store.Queries, tx pgx.Tx) error {
		if _, err := q.ShareUser(ctx, user); err != nil {
			return orNotFound(err)
		}
		before, err := ledger.SetTier(ctx, tx, money.UserScope(user), int(req.GetTier()))
		if err != nil {
			return err
		}
		return s.record(ctx, tx, "tier.set", user, map[string]any{
			"before": before, "after": req.GetTier(), "evidence": req.GetEvidenceReference(), "reason": req.GetReason(),
		})
	})
	if err != nil {
		return nil, err
	}
	shown, err := s.find(ctx, store.FindUserForOperatorParams{ID: user})
	if err != nil {
		return nil, err
	}
	return &userv1.SetTierResponse{User: shown}, nil
}

// EraseUser forgets a person. The first transaction ends all that they are; texts
// go in steps after it, since there may be many, and a call that is repeated goes
// on with what is left.
func (s *Service) EraseUser(ctx context.Context, req *userv1.EraseUserRequest) (*userv1.EraseUserResponse, error) {
	user, err := id.Parse(id.User, req.GetUserId())
	if err != nil {
		return nil, errNotFound.WithCause(err)
	}
	err = s.end(ctx, user, req.GetReason())
	if errors.Is(err, pgx.ErrNoRows) {
		err = s.wasErased(ctx, user)
	}
	if err != nil {
		return nil, err
	}
	erased, err := s.eraseTexts(ctx, user)
	if err != nil {
		return nil, err
	}
	return &userv1.EraseUserResponse{ErasedTransactions: erased}, nil
}

func (s *Service) find(ctx context.Context, by store.FindUserForOperatorParams) (*userv1.User, error) {
	found, err := s.store.Queries().FindUserForOperator(ctx, by)
	if err != nil {
		return nil, orNotFound(err)
	}
	tier, err := s.books.Tier(ctx, money.UserScope(found.ID))
	if err != nil {
		return nil, err
	}
	return &userv1.User{
		UserId: id.Format(id.User, found.ID), PhoneNumber: found.PhoneNumber, Username: found.Username,
		Tier: int32(tier), CreateTime: timestamppb.New(found.CreateTime),
	}, nil
}

func orNotFound(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return errNotFound.WithCause(err)
	}
	return fmt.Errorf("finding a user: %w", err)
}

// record keeps what an operator did to a user.
func (s *Service) record(ctx context.Context, tx pgx.Tx, action string, user uuid.UUID, details any) error {
	actor := audit.Actor{Kind: audit.Operator, ID: rpc.PrincipalFrom(ctx).Operator}
	return audit.Insert(ctx, tx, audit.New(actor, action, money.UserScope(user), details).From(rpc.Origin(ctx)))
}
