package tillbook

import (
	"context"
	"io"
	"iter"

	"google.golang.org/protobuf/proto"

	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
)

// Sell begins a sale.
func (m *Merchants) Sell(ctx context.Context, request *CreateCheckoutRequest) (*Checkout, error) {
	response, err := m.rpc.CreateCheckout(ctx, request)
	if err != nil {
		return nil, err
	}
	return response.GetCheckout(), nil
}

// Checkout returns a checkout.
func (m *Merchants) Checkout(ctx context.Context, merchantID, checkoutID string) (*Checkout, error) {
	response, err := m.rpc.GetCheckout(ctx, &merchantv1.GetCheckoutRequest{MerchantId: merchantID, CheckoutId: checkoutID})
	if err != nil {
		return nil, err
	}
	return response.GetCheckout(), nil
}

// Checkouts lists a merchant's checkouts that pass the request's filters, newest first.
func (m *Merchants) Checkouts(ctx context.Context, request *ListCheckoutsRequest) iter.Seq2[*Checkout, error] {
	return pages(ctx, request.GetPageToken(), func(ctx context.Context, token string) ([]*Checkout, string, error) {
		page := proto.CloneOf(request)
		page.PageToken = token
		response, err := m.rpc.ListCheckouts(ctx, page)
		return response.GetCheckouts(), response.GetNextPageToken(), err
	})
}

// CancelCheckout ends a checkout that isn't paid, or gives an authorized one's money
// free.
func (m *Merchants) CancelCheckout(ctx context.Context, merchantID, checkoutID string) (*Checkout, error) {
	response, err := m.rpc.CancelCheckout(ctx, &merchantv1.CancelCheckoutRequest{MerchantId: merchantID, CheckoutId: checkoutID})
	if err != nil {
		return nil, err
	}
	return response.GetCheckout(), nil
}

// Capture takes the money of an authorized checkout, or a part of it.
func (m *Merchants) Capture(ctx context.Context, request *CaptureCheckoutRequest) (*Checkout, error) {
	response, err := m.rpc.CaptureCheckout(ctx, request)
	if err != nil {
		return nil, err
	}
	return response.GetCheckout(), nil
}

// Refund gives a paid checkout's money back, or a part of it.
func (m *Merchants) Refund(ctx context.Context, request *RefundCheckoutRequest) (*CheckoutRefund, error) {
	return m.rpc.RefundCheckout(ctx, request)
}

// Watch yields what happens at a merchant, for as long as the context lasts: checkouts
// as they are made and changed, and alerts about terminals. It opens the stream again
// by itself, as Wallet.Watch does, and goes on where it was.
//
// It ends with an error: the context's, or one that trying again can't mend, such as
// ReasonPermissionDenied once the user works there no more.
func (m *Merchants) Watch(ctx context.Context, merchantID string) iter.Seq2[*MerchantEvent, error] {
	return m.WatchFrom(ctx, merchantID, "")
}

// WatchFrom goes on behind the event with the given resume token.
func (m *Merchants) WatchFrom(ctx context.Context, merchantID, resumeToken string) iter.Seq2[*MerchantEvent, error] {
	return watch(ctx, &follower[*MerchantEvent]{
		procedure: "MerchantService/WatchMerchant",
		open: func(ctx context.Context, resume string) (eventStream[*MerchantEvent], error) {
			return m.rpc.WatchMerchant(ctx, &merchantv1.WatchMerchantRequest{MerchantId: merchantID, ResumeToken: resume})
		},
		shown:  func(e *MerchantEvent) bool { return e.GetHeartbeat() == nil && e.GetEvent() != nil },
		resume: resumeToken,
	})
}

// Withdraw takes available money to the owner's wallet.
func (m *Merchants) Withdraw(ctx context.Context, request *WithdrawFundsRequest) (*Withdrawal, error) {
	return m.rpc.WithdrawFunds(ctx, request)
}

// Settlements lists a merchant's settlements, newest first.
func (m *Merchants) Settlements(ctx context.Context, merchantID string) iter.Seq2[*Settlement, error] {
	return pages(ctx, "", func(ctx context.Context, token string) ([]*Settlement, string, error) {
		response, err := m.rpc.ListSettlements(ctx, &merchantv1.ListSettlementsRequest{MerchantId: merchantID, PageToken: token})
		return response.GetSettlements(), response.GetNextPageToken(), err
	})
}

// SettlementLines lists the sales and refunds in a settlement, oldest first.
func (m *Merchants) SettlementLines(ctx context.Context, merchantID, settlementID string) iter.Seq2[*SettlementLine, error] {
	return pages(ctx, "", func(ctx context.Context, token string) ([]*SettlementLine, string, error) {
		response, err := m.rpc.GetSettlement(ctx, &merchantv1.GetSettlementRequest{
			MerchantId: merchantID, SettlementId: settlementID, PageToken: token,
		})
		return response.GetLines(), response.GetNextPageToken(), err
	})
}

// DayReport sums a day up.
func (m *Merchants) DayReport(ctx context.Context, request *GetDayReportRequest) (*DayReport, error) {
	return m.rpc.GetDayReport(ctx, request)
}

// ExportDayReport writes a day's sales and refunds to out as CSV. What was written is
// whole only if there is no error; after one, begin again with a new out.
func (m *Merchants) ExportDayReport(ctx context.Context, request *ExportDayReportRequest, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // Tells the server if out fails.
	stream, err := m.rpc.ExportDayReport(ctx, request)
	if err != nil {
		return err
	}
	defer stream.Close()
	return writeChunks(out, func() ([]byte, error) {
		response, err := stream.Receive()
		return response.GetData(), err
	})
}

// OpenShift begins the user's shift.
func (m *Merchants) OpenShift(ctx context.Context, request *OpenShiftRequest) (*Shift, error) {
	response, err := m.rpc.OpenShift(ctx, request)
	if err != nil {
		return nil, err
	}
	return response.GetShift(), nil
}

// CloseShift ends a shift.
func (m *Merchants) CloseShift(ctx context.Context, merchantID, shiftID string) (*Shift, error) {
	response, err := m.rpc.CloseShift(ctx, &merchantv1.CloseShiftRequest{MerchantId: merchantID, ShiftId: shiftID})
	if err != nil {
		return nil, err
	}
	return response.GetShift(), nil
}

// Shifts lists a merchant's shifts, newest first; cashiers see their own.
func (m *Merchants) Shifts(ctx context.Context, merchantID string) iter.Seq2[*Shift, error] {
	return pages(ctx, "", func(ctx context.Context, token string) ([]*Shift, string, error) {
		response, err := m.rpc.ListShifts(ctx, &merchantv1.ListShiftsRequest{MerchantId: merchantID, PageToken: token})
		return response.GetShifts(), response.GetNextPageToken(), err
	})
}

// SetFeePlan makes or replaces a fee plan.
func (m *Merchants) SetFeePlan(ctx context.Context, plan *FeePlan) (*FeePlan, error) {
	response, err := m.rpc.SetFeePlan(ctx, &merchantv1.SetFeePlanRequest{FeePlan: plan})
	if err != nil {
		return nil, err
	}
	return response.GetFeePlan(), nil
}

// FeePlans lists the fee plans by name.
func (m *Merchants) FeePlans(ctx context.Context) iter.Seq2[*FeePlan, error] {
	return pages(ctx, "", func(ctx context.Context, token string) ([]*FeePlan, string, error) {
		response, err := m.rpc.ListFeePlans(ctx, &merchantv1.ListFeePlansRequest{PageToken: token})
		return response.GetFeePlans(), response.GetNextPageToken(), err
	})
}

// AssignFeePlan puts a merchant on a fee plan.
func (m *Merchants) AssignFeePlan(ctx context.Context, merchantID, feePlan string) error {
	_, err := m.rpc.AssignFeePlan(ctx, &merchantv1.AssignFeePlanRequest{MerchantId: merchantID, FeePlan: feePlan})
	return err
}
