package merchant

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
	"github.com/tillbook/tillbook/server/mask"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/server/staff"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
)

var (
	errNoMember = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_NOT_FOUND, "Nobody with this id works for the merchant.").
			WithField("user_id", "must be that of somebody who works there")
	errMayNotRemove = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_PERMISSION_DENIED, "Your role at the merchant doesn't allow this.")
)

// staffPlace is where a list of staff goes on.
type staffPlace struct {
	Time time.Time
	User uuid.UUID
}

func (s *Service) listStaff(ctx context.Context, m member, req *merchantv1.ListStaffRequest) (shown []*merchantv1.StaffMember, next string, err error) {
	kind := rpc.PageKind(merchantv1connect.MerchantServiceListStaffProcedure, req.GetMerchantId())
	before, size := staffPlace{Time: s.now().Add(time.Hour), User: uuid.Max}, rpc.PageSize(req.GetPageSize())
	if token := req.GetPageToken(); token != "" {
		if err := rpc.DecodePageToken(kind, token, &before); err != nil {
			return nil, "", err
		}
	}
	list, err := s.store.Queries().ListStaff(ctx, store.ListStaffParams{
		MerchantID: m.merchant, BeforeTime: before.Time, BeforeID: before.User, MaxRows: int32(size) + 1,
	})
	if err != nil {
		return nil, "", fmt.Errorf("listing staff: %w", err)
	}
	if len(list) > size {
		list = list[:size]
		next = rpc.EncodePageToken(kind, staffPlace{list[size-1].CreateTime, list[size-1].UserID})
	}
	for i := range list {
		shown = append(shown, &merchantv1.StaffMember{
			UserId: id.Format(id.User, list[i].UserID), MaskedName: mask.Name(list[i].Username),
			Role: merchantv1.Role(list[i].Role), CreateTime: timestamppb.New(list[i].CreateTime),
		})
	}
	return shown, next, nil
}

// removable is the highest role that a member may remove: managers remove cashiers and
// owners anybody, as everybody may themselves, but never the owner.
func removable(m member, user uuid.UUID) staff.Role {
	switch {
	case m.user == user, m.role == staff.Owner:
		return staff.Manager
	case m.role == staff.Manager:
		return staff.Cashier
	default:
		return staff.Cashier + 1 // nobody's
	}
}

// removeStaff ends a user's work for a merchant, and with it what they left open there.
func (s *Service) removeStaff(ctx context.Context, m member, text string) error {
	user, err := id.Parse(id.User, text)
	if err != nil {
		return errNoMember.WithCause(err)
	}
	return s.store.InTx(ctx, func(ctx context.Context, q *store.Queries, _ pgx.Tx) error {
		removed, err := q.RemoveStaff(ctx, store.RemoveStaffParams{MerchantID: m.merchant, UserID: user, Highest: int16(removable(m, user))})
		if err != nil {
			return fmt.Errorf("removing staff: %w", err)
		}
		if removed == 0 {
			_, err := q.GetRole(ctx, store.GetRoleParams{MerchantID: m.merchant, UserID: user})
			switch {
			case errors.Is(err, pgx.ErrNoRows):
				return errNoMember.WithCause(err)
			case err != nil:
				return fmt.Errorf("reading a role: %w", err)
			default:
				return errMayNotRemove
			}
		}
		err = q.CancelInvitationsOf(ctx, store.CancelInvitationsOfParams{MerchantID: m.merchant, InviterID: user})
		if err != nil {
			return fmt.Errorf("canceling invitations: %w", err)
		}
		if err := q.CloseShiftsOf(ctx, store.CloseShiftsOfParams{MerchantID: m.merchant, UserID: user}); err != nil {
			return fmt.Errorf("closing shifts: %w", err)
		}
		// Their streams end at once, on every replica.
		err = q.TellMerchant(ctx, store.TellMerchantParams{Type: typeRemoved, Subject: money.MerchantScope(m.merchant), Payload: []byte("{}")})
		if err != nil {
			return fmt.Errorf("telling of a removal: %w", err)
		}
		return nil
	})
}
