package merchant

import (
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/server/qr"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
)

// merchantMessage shows a merchant to somebody with a role there. Roles and intervals
// are stored as the API numbers them.
func merchantMessage(m *store.Merchant, role int16) *merchantv1.Merchant {
	return &merchantv1.Merchant{
		MerchantId: id.Format(id.Merchant, m.ID), Name: m.Name, Country: m.Country, City: m.City,
		CategoryCode: m.CategoryCode, TimeZone: m.TimeZone, Role: merchantv1.Role(role), CreateTime: timestamppb.New(m.CreateTime),
		SettlementSchedule: &merchantv1.SettlementSchedule{
			Interval:    merchantv1.SettlementInterval(m.SettlementInterval),
			MinuteOfDay: uint32(m.SettlementMinute), Weekday: uint32(m.SettlementWeekday),
		},
	}
}

func storeMessage(s *store.ListStoresRow, of *store.Merchant) (*merchantv1.Store, error) {
	text, err := qr.Encode(storeCode(s.ID, of, s.City))
	if err != nil {
		return nil, fmt.Errorf("encoding the QR text of a store: %w", err)
	}
	return &merchantv1.Store{
		StoreId: id.Format(id.Store, s.ID), MerchantId: id.Format(id.Merchant, s.MerchantID),
		Name: s.Name, City: s.City, QrText: text, CreateTime: timestamppb.New(s.CreateTime),
	}, nil
}

// invitationMessage shows an invitation; its phone number only to the merchant.
func invitationMessage(i *store.InvitationState, toMerchant bool) *merchantv1.Invitation {
	shown := &merchantv1.Invitation{
		InvitationId: id.Format(id.Invitation, i.ID), MerchantId: id.Format(id.Merchant, i.MerchantID), MerchantName: i.MerchantName,
		Role: merchantv1.Role(i.Role), State: merchantv1.InvitationState(i.State),
		CreateTime: timestamppb.New(i.CreateTime), ExpireTime: timestamppb.New(i.ExpireTime),
	}
	if toMerchant {
		shown.PhoneNumber = i.PhoneNumber
	}
	return shown
}

// formatAny writes an id that may not be there.
func formatAny(p id.Prefix, u *uuid.UUID) string {
	if u == nil {
		return ""
	}
	return id.Format(p, *u)
}
