package merchant

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/phone"
	"github.com/tillbook/tillbook/server/rate"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/server/staff"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// How an invitation stands; stored, and as the API numbers it.
const (
	invitationOpen     int16 = 1
	invitationAccepted int16 = 2
	invitationDeclined int16 = 3
	invitationCanceled int16 = 4
)

var (
	// inviteRule bounds how fast somebody invites: twenty at once, then one in two
	// minutes.
	inviteRule = rate.Rule{Name: "merchant.invite", Per: 2 * time.Minute, Burst: 20}
	// invitedRule bounds how often one number is invited, by whomever.
	invitedRule = rate.Rule{Name: "merchant.invited", Per: time.Hour, Burst: 10}
)

var (
	errNoInvitation     = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_NOT_FOUND, "There is no such invitation.")
	errInvitationClosed = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_INVITATION_CLOSED,
		"The invitation was accepted, declined, canceled or has expired.")
	errInviteManager = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_PERMISSION_DENIED, "Only the owner invites managers.")
)

// invite adds an invitation, once for a key. Whether anybody has the number makes no
// difference here.
func (s *Service) invite(ctx context.Context, m member, req *merchantv1.InviteStaffRequest) (*merchantv1.Invitation, error) {
	role := staff.Role(req.GetRole())
	if role <= m.role && m.role != staff.Owner {
		return nil, errInviteManager
	}
	number, err := phone.Parse(req.GetPhoneNumber())
	if err != nil {
		return nil, err
	}
	err = s.limiter.AllowAll(ctx, rate.Check{Rule: inviteRule, Subject: m.user.String()}, rate.Check{Rule: invitedRule, Subject: string(number)})
	if err != nil {
		return nil, err
	}
	key := uuid.UUID(ledger.NewKey(money.UserScope(m.user)+"/invitations", req.GetIdempotencyKey()))
	fingerprint := ledger.Fingerprint("invitation", req.GetMerchantId(), string(number), strconv.Itoa(int(role)))
	q := s.store.Queries()
	made, _, err := once(fingerprint,
		func() (uuid.UUID, error) {
			return q.InsertInvitation(ctx, store.InsertInvitationParams{
				ID: id.New(), MerchantID: m.merchant, InviterID: m.user, PhoneNumber: string(number), Role: int16(role),
				KeyHash: key, Fingerprint: fingerprint[:],
			})
		},
		func() (uuid.UUID, []byte, error) {
			known, err := q.FindInvitationByKey(ctx, key)
			return known.ID, known.Fingerprint, err
		})
	if err != nil {
		return nil, err
	}
	row, err := q.FindInvitation(ctx, made)
	if err != nil {
		return nil, fmt.Errorf("reading an invitation: %w", err)
	}
	return invitationMessage(&row, true), nil
}

// listInvitations lists those of the member's merchant, or without one those for the
// user's own number.
func (s *Service) listInvitations(ctx context.Context, m member, req *merchantv1.ListInvitationsRequest) (shown []*merchantv1.Invitation, next string, err error) {
	p, err := newPage(req, merchantv1connect.MerchantServiceListInvitationsProcedure, req.GetMerchantId(), m.user.String())
	if err != nil {
		return nil, "", err
	}
	var list []store.InvitationState
	ofMerchant := m.merchant != uuid.Nil
	if ofMerchant {
		list, err = s.store.Queries().ListInvitationsOfMerchant(ctx, store.ListInvitationsOfMerchantParams{
			MerchantID: m.merchant, BeforeID: p.before, MaxRows: p.rows(),
		})
	} else {
		list, err = s.store.Queries().ListInvitationsOfUser(ctx, store.ListInvitationsOfUserParams{
			InvitedID: m.user, BeforeID: p.before, MaxRows: p.rows(),
		})
	}
	if err != nil {
		return nil, "", fmt.Errorf("listing invitations: %w", err)
	}
	list, next = cut(p, list, func(i *store.InvitationState) uuid.UUID { return i.ID })
	for i := range list {
		shown = append(shown, invitationMessage(&list[i], ofMerchant))
	}
	return shown, next, nil
}

// invited finds an invitation for a user's own number, or fails with NOT_FOUND.
func invited(ctx context.Context, q *store.Queries, user uuid.UUID, text string) (store.InvitationState, error) {
	wanted, err := id.Parse(id.Invitation, text)
	if err != nil {
		return store.InvitationState{}, errNoInvitation.WithCause(err)
	}
	found, err := q.GetInvitationOfUser(ctx, store.GetInvitationOfUserParams{ID: wanted, InvitedID: user})
	if errors.Is(err, pgx.ErrNoRows) {
		return found, errNoInvitation.WithCause(err)
	}
	if err != nil {
		return found, fmt.Errorf("reading an invitation: %w", err)
	}
	return found, nil
}

// accept makes a user a member of the staff. Accepting again answers as the first
// time, as long as they still work there.
func (s *Service) accept(ctx context.Context, user uuid.UUID, text string) (*merchantv1.Merchant, error) {
	at := uuid.Nil
	err := s.store.InTx(ctx, func(ctx context.Context, q *store.Queries, _ pgx.Tx) error {
		i, err := invited(ctx, q, user, text)
		if err != nil {
			return err
		}
		at = i.MerchantID
		closed, err := q.CloseInvitation(ctx, store.CloseInvitationParams{ID: i.ID, State: invitationAccepted, UserID: &user})
		if err != nil {
			return fmt.Errorf("accepting an invitation: %w", err)
		}
		if closed == 1 {
			return q.AddStaff(ctx, store.AddStaffParams{MerchantID: at, UserID: user, Role: i.Role})
		}
		if i, err = invited(ctx, q, user, text); err != nil {
			return err
		}
		if i.State != invitationAccepted || *i.UserID != user {
			return errInvitationClosed
		}
		_, err = q.GetRole(ctx, store.GetRoleParams{MerchantID: at, UserID: user})
		if errors.Is(err, pgx.ErrNoRows) {
			return errInvitationClosed.WithCause(err)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.merchant(ctx, at, user)
}

// decline refuses an invitation. Declining again answers as the first time.
func (s *Service) decline(ctx context.Context, user uuid.UUID, text string) (*merchantv1.Invitation, error) {
	q := s.store.Queries()
	i, err := invited(ctx, q, user, text)
	if err != nil {
		return nil, err
	}
	if _, err = q.CloseInvitation(ctx, store.CloseInvitationParams{ID: i.ID, State: invitationDeclined, UserID: &user}); err != nil {
		return nil, fmt.Errorf("declining an invitation: %w", err)
	}
	if i, err = invited(ctx, q, user, text); err != nil {
		return nil, err
	}
	if i.State != invitationDeclined {
		return nil, errInvitationClosed
	}
	return invitationMessage(&i, false), nil
}

// cancelInvitation takes an invitation back. Canceling again answers as the first
// time.
func (s *Service) cancelInvitation(ctx context.Context, user uuid.UUID, text string) (*merchantv1.Invitation, error) {
	wanted, err := id.Parse(id.Invitation, text)
	if err != nil {
		return nil, errNoInvitation.WithCause(err)
	}
	q := s.store.Queries()
	i, err := q.FindInvitation(ctx, wanted)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errNoInvitation.WithCause(err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading an invitation: %w", err)
	}
	_, _, err = staff.Require(ctx, q, id.Format(id.Merchant, i.MerchantID), user, staff.Manager)
	if rpc.ReasonOf(err) == errorv1.ErrorReason_ERROR_REASON_NOT_FOUND {
		return nil, errNoInvitation.WithCause(err)
	}
	if err != nil {
		return nil, err
	}
	if _, err = q.CloseInvitation(ctx, store.CloseInvitationParams{ID: i.ID, State: invitationCanceled}); err != nil {
		return nil, fmt.Errorf("canceling an invitation: %w", err)
	}
	if i, err = q.FindInvitation(ctx, wanted); err != nil {
		return nil, fmt.Errorf("reading an invitation: %w", err)
	}
	if i.State != invitationCanceled {
		return nil, errInvitationClosed
	}
	return invitationMessage(&i, true), nil
}
