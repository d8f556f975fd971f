package tillbook

import (
	"context"
	"iter"

	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
)

// Merchants lets the user sell: as whoever is signed in, whose role at the merchant
// says what they may do. SetFeePlan, FeePlans and AssignFeePlan are for operators and
// need WithOperatorKey.
//
// Requests without an idempotency key get one of their own, which is kept across the
// automatic retries.
type Merchants struct {
	rpc merchantv1connect.MerchantServiceClient
}

// Create makes the user the owner of a new merchant.
func (m *Merchants) Create(ctx context.Context, request *CreateMerchantRequest) (*Merchant, error) {
	response, err := m.rpc.CreateMerchant(ctx, request)
	if err != nil {
		return nil, err
	}
	return response.GetMerchant(), nil
}

// Get returns a merchant that the user works for, with its balances if they may see
// them.
func (m *Merchants) Get(ctx context.Context, merchantID string) (*Merchant, []*MerchantBalance, error) {
	response, err := m.rpc.GetMerchant(ctx, &merchantv1.GetMerchantRequest{MerchantId: merchantID})
	return response.GetMerchant(), response.GetBalances(), err
}

// All lists the merchants that the user works for, newest first.
func (m *Merchants) All(ctx context.Context) iter.Seq2[*Merchant, error] {
	return pages(ctx, "", func(ctx context.Context, token string) ([]*Merchant, string, error) {
		response, err := m.rpc.ListMerchants(ctx, &merchantv1.ListMerchantsRequest{PageToken: token})
		return response.GetMerchants(), response.GetNextPageToken(), err
	})
}

// SetSchedule says when sales become available from now on.
func (m *Merchants) SetSchedule(ctx context.Context, merchantID string, schedule *SettlementSchedule) (*Merchant, error) {
	response, err := m.rpc.SetSettlementSchedule(ctx, &merchantv1.SetSettlementScheduleRequest{MerchantId: merchantID, SettlementSchedule: schedule})
	if err != nil {
		return nil, err
	}
	return response.GetMerchant(), nil
}

// CreateStore adds a store.
func (m *Merchants) CreateStore(ctx context.Context, request *CreateStoreRequest) (*Store, error) {
	response, err := m.rpc.CreateStore(ctx, request)
	if err != nil {
		return nil, err
	}
	return response.GetStore(), nil
}

// Stores lists a merchant's stores, newest first.
func (m *Merchants) Stores(ctx context.Context, merchantID string) iter.Seq2[*Store, error] {
	return pages(ctx, "", func(ctx context.Context, token string) ([]*Store, string, error) {
		response, err := m.rpc.ListStores(ctx, &merchantv1.ListStoresRequest{MerchantId: merchantID, PageToken: token})
		return response.GetStores(), response.GetNextPageToken(), err
	})
}

// Invite invites whoever has a phone number to work for a merchant.
func (m *Merchants) Invite(ctx context.Context, request *InviteStaffRequest) (*Invitation, error) {
	response, err := m.rpc.InviteStaff(ctx, request)
	if err != nil {
		return nil, err
	}
	return response.GetInvitation(), nil
}

// Invitations lists a merchant's invitations, newest first, or the user's own if no
// merchant is named.
func (m *Merchants) Invitations(ctx context.Context, merchantID string) iter.Seq2[*Invitation, error] {
	return pages(ctx, "", func(ctx context.Context, token string) ([]*Invitation, string, error) {
		response, err := m.rpc.ListInvitations(ctx, &merchantv1.ListInvitationsRequest{MerchantId: merchantID, PageToken: token})
		return response.GetInvitations(), response.GetNextPageToken(), err
	})
}

// Accept makes the user, whose phone number was invited, a member of the staff.
func (m *Merchants) Accept(ctx context.Context, invitationID string) (*Merchant, error) {
	response, err := m.rpc.AcceptInvitation(ctx, &merchantv1.AcceptInvitationRequest{InvitationId: invitationID})
	if err != nil {
		return nil, err
	}
	return response.GetMerchant(), nil
}

// Decline refuses an invitation.
func (m *Merchants) Decline(ctx context.Context, invitationID string) (*Invitation, error) {
	response, err := m.rpc.DeclineInvitation(ctx, &merchantv1.DeclineInvitationRequest{InvitationId: invitationID})
	if err != nil {
		return nil, err
	}
	return response.GetInvitation(), nil
}

// CancelInvitation takes an invitation back.
func (m *Merchants) CancelInvitation(ctx context.Context, invitationID string) (*Invitation, error) {
	response, err := m.rpc.CancelInvitation(ctx, &merchantv1.CancelInvitationRequest{InvitationId: invitationID})
	if err != nil {
		return nil, err
	}
	return response.GetInvitation(), nil
}

// Staff lists who works for a merchant, newest first.
func (m *Merchants) Staff(ctx context.Context, merchantID string) iter.Seq2[*StaffMember, error] {
	return pages(ctx, "", func(ctx context.Context, token string) ([]*StaffMember, string, error) {
		response, err := m.rpc.ListStaff(ctx, &merchantv1.ListStaffRequest{MerchantId: merchantID, PageToken: token})
		return response.GetStaff(), response.GetNextPageToken(), err
	})
}

// RemoveStaff ends somebody's work for a merchant.
func (m *Merchants) RemoveStaff(ctx context.Context, merchantID, userID string) error {
	_, err := m.rpc.RemoveStaff(ctx, &merchantv1.RemoveStaffRequest{MerchantId: merchantID, UserId: userID})
	return err
}
