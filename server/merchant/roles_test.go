package merchant_test

import (
	"context"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/server/staff"
	"github.com/tillbook/tillbook/store/id"
)

// call is a call about a merchant, with whatever else is needed to be valid.
type call struct {
	least staff.Role
	make  func(ctx context.Context, c client, merchant string) error
}

// calls are all procedures that name a merchant, with the role that they want.
var calls = map[string]call{
	"GetMerchant": {staff.Cashier, func(ctx context.Context, c client, m string) error {
		_, err := c.GetMerchant(ctx, &merchantv1.GetMerchantRequest{MerchantId: m})
		return err
	}},
	"SetSettlementSchedule": {staff.Owner, func(ctx context.Context, c client, m string) error {
		_, err := c.SetSettlementSchedule(ctx, &merchantv1.SetSettlementScheduleRequest{MerchantId: m, SettlementSchedule: &merchantv1.SettlementSchedule{}})
		return err
	}},
	"CreateStore": {staff.Manager, func(ctx context.Context, c client, m string) error {
		_, err := c.CreateStore(ctx, &merchantv1.CreateStoreRequest{IdempotencyKey: "1", MerchantId: m, Name: "Kota"})
		return err
	}},
	"ListStores": {staff.Cashier, func(ctx context.Context, c client, m string) error {
		_, err := c.ListStores(ctx, &merchantv1.ListStoresRequest{MerchantId: m})
		return err
	}},
	"InviteStaff": {staff.Manager, func(ctx context.Context, c client, m string) error {
		_, err := c.InviteStaff(ctx, &merchantv1.InviteStaffRequest{IdempotencyKey: "1", MerchantId: m, PhoneNumber: "+628121111111", Role: cashier})
		return err
	}},
	"ListInvitations": {staff.Manager, func(ctx context.Context, c client, m string) error {
		_, err := c.ListInvitations(ctx, &merchantv1.ListInvitationsRequest{MerchantId: m})
		return err
	}},
	"ListStaff": {staff.Manager, func(ctx context.Context, c client, m string) error {
		_, err := c.ListStaff(ctx, &merchantv1.ListStaffRequest{MerchantId: m})
		return err
	}},
	"CreateCheckout": {staff.Cashier, func(ctx context.Context, c client, m string) error {
		_, err := c.CreateCheckout(ctx, sale("1", shop{id: m, store: id.Format(id.Store, id.New())}, "0 USD"))
		return err
	}},
	"GetCheckout": {staff.Cashier, func(ctx context.Context, c client, m string) error {
		_, err := c.GetCheckout(ctx, &merchantv1.GetCheckoutRequest{MerchantId: m, CheckoutId: checkoutOfNobody})
		return err
	}},
	"ListCheckouts": {staff.Cashier, func(ctx context.Context, c client, m string) error {
		_, err := c.ListCheckouts(ctx, &merchantv1.ListCheckoutsRequest{MerchantId: m})
		return err
	}},
	"CaptureCheckout": {staff.Cashier, func(ctx context.Context, c client, m string) error {
		_, err := c.CaptureCheckout(ctx, &merchantv1.CaptureCheckoutRequest{IdempotencyKey: "1", MerchantId: m, CheckoutId: checkoutOfNobody})
		return err
	}},
	"CancelCheckout": {staff.Cashier, func(ctx context.Context, c client, m string) error {
		_, err := c.CancelCheckout(ctx, &merchantv1.CancelCheckoutRequest{MerchantId: m, CheckoutId: checkoutOfNobody})
		return err
	}},
	"RefundCheckout": {staff.Manager, func(ctx context.Context, c client, m string) error {
		_, err := c.RefundCheckout(ctx, &merchantv1.RefundCheckoutRequest{IdempotencyKey: "1", MerchantId: m, CheckoutId: checkoutOfNobody, Amount: amount("1 USD")})
		return err
	}},
	"WatchMerchant": {staff.Cashier, func(ctx context.Context, c client, m string) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := c.WatchMerchant(ctx, &merchantv1.WatchMerchantRequest{MerchantId: m})
		if err != nil {
			return err
		}
		defer stream.Close()
		_, err = stream.Receive()
		return err
	}},
	"WithdrawFunds": {staff.Owner, func(ctx context.Context, c client, m string) error {
		_, err := c.WithdrawFunds(ctx, &merchantv1.WithdrawFundsRequest{IdempotencyKey: "1", MerchantId: m, Amount: amount("1 USD")})
		return err
	}},
	"ListSettlements": {staff.Manager, func(ctx context.Context, c client, m string) error {
		_, err := c.ListSettlements(ctx, &merchantv1.ListSettlementsRequest{MerchantId: m})
		return err
	}},
	"GetSettlement": {staff.Manager, func(ctx context.Context, c client, m string) error {
		_, err := c.GetSettlement(ctx, &merchantv1.GetSettlementRequest{MerchantId: m, SettlementId: id.Format(id.Settlement, id.New())})
		return err
	}},
	"GetDayReport": {staff.Manager, func(ctx context.Context, c client, m string) error {
		_, err := c.GetDayReport(ctx, &merchantv1.GetDayReportRequest{MerchantId: m, Date: "2026-01-01"})
		return err
	}},
	"ExportDayReport": {staff.Manager, func(ctx context.Context, c client, m string) error {
		stream, err := c.ExportDayReport(ctx, &merchantv1.ExportDayReportRequest{MerchantId: m, Date: "2026-01-01"})
		if err != nil {
			return err
		}
		defer stream.Close()
		_, err = stream.Receive()
		return err
	}},
	"OpenShift": {staff.Cashier, func(ctx context.Context, c client, m string) error {
		_, err := c.OpenShift(ctx, &merchantv1.OpenShiftRequest{IdempotencyKey: "1", MerchantId: m, StoreId: id.Format(id.Store, id.New())})
		return err
	}},
	"CloseShift": {staff.Cashier, func(ctx context.Context, c client, m string) error {
		_, err := c.CloseShift(ctx, &merchantv1.CloseShiftRequest{MerchantId: m, ShiftId: id.Format(id.Shift, id.New())})
		return err
	}},
	"ListShifts": {staff.Cashier, func(ctx context.Context, c client, m string) error {
		_, err := c.ListShifts(ctx, &merchantv1.ListShiftsRequest{MerchantId: m})
		return err
	}},
	"RemoveStaff": {staff.Cashier, func(ctx context.Context, c client, m string) error {
		_, err := c.RemoveStaff(ctx, &merchantv1.RemoveStaffRequest{MerchantId: m, UserId: id.Format(id.User, id.New())})
		return err
	}},
}

var checkoutOfNobody = id.Format(id.Checkout, id.New())

func TestEveryProcedureAsksForARole(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	s := open(t, books, r, "batavia")
	stranger := books.User(t, "stranger")
	people := map[moneytest.User]staff.Role{s.owner: staff.Owner, s.manager: staff.Manager, s.cashier: staff.Cashier}
	for spec := range r.Server.Specs() {
		method, ok := spec.Schema.(protoreflect.MethodDescriptor)
		if !ok {
			t.Fatalf("%s has no descriptor", spec.Procedure)
		}
		name := string(method.Name())
		if method.Input().Fields().ByName("merchant_id") == nil || name == "AssignFeePlan" {
			continue
		}
		c, ok := calls[name]
		if !ok {
			t.Errorf("nothing is known of %s", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			moneytest.WantRefusal(t, c.make(t.Context(), r.as(stranger), s.id), "NOT_FOUND")
			moneytest.WantRefusal(t, c.make(t.Context(), r.as(s.owner), id.Format(id.Merchant, id.New())), "NOT_FOUND")
			for who, role := range people {
				got := moneytest.ReadRefusal(t, c.make(t.Context(), r.as(who), s.id)).Reason
				if (got == "PERMISSION_DENIED") != (role > c.least) {
					t.Errorf("%s is answered %q", who.Username, got)
				}
			}
		})
	}
}

func TestNobodyElseGetsInAtAll(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	operators := map[string]bool{"SetFeePlan": true, "ListFeePlans": true, "AssignFeePlan": true}
	asNobody, asOperator := r.Reasons(t, rpc.Principal{}), r.Reasons(t, rpc.Principal{Kind: rpc.KindOperator, Operator: id.New()})
	for spec := range r.Server.Specs() {
		if got := asNobody[spec.Procedure]; got != "UNAUTHENTICATED" {
			t.Errorf("%s answers nobody with %q", spec.Procedure, got)
		}
		name := string(spec.Schema.(protoreflect.MethodDescriptor).Name())
		if got := asOperator[spec.Procedure]; (got == "PERMISSION_DENIED") == operators[name] {
			t.Errorf("%s answers operators with %q", spec.Procedure, got)
		}
	}
}
