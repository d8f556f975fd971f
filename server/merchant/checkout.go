package merchant

import (
	"context"

	"connectrpc.com/connect/v2"

	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
)

var errSoon = connect.NewError(connect.CodeUnimplemented, "not yet")

func (s *Service) CreateCheckout(context.Context, *merchantv1.CreateCheckoutRequest) (*merchantv1.CreateCheckoutResponse, error) {
	return nil, errSoon
}
func (s *Service) GetCheckout(context.Context, *merchantv1.GetCheckoutRequest) (*merchantv1.GetCheckoutResponse, error) {
	return nil, errSoon
}
func (s *Service) ListCheckouts(context.Context, *merchantv1.ListCheckoutsRequest) (*merchantv1.ListCheckoutsResponse, error) {
	return nil, errSoon
}
func (s *Service) CancelCheckout(context.Context, *merchantv1.CancelCheckoutRequest) (*merchantv1.CancelCheckoutResponse, error) {
	return nil, errSoon
}
func (s *Service) CaptureCheckout(context.Context, *merchantv1.CaptureCheckoutRequest) (*merchantv1.CaptureCheckoutResponse, error) {
	return nil, errSoon
}
func (s *Service) RefundCheckout(context.Context, *merchantv1.RefundCheckoutRequest) (*merchantv1.RefundCheckoutResponse, error) {
	return nil, errSoon
}
func (s *Service) WatchMerchant(context.Context, *merchantv1.WatchMerchantRequest, merchantv1connect.MerchantServiceWatchMerchantServerStream) error {
	return errSoon
}
func (s *Service) GetDayReport(context.Context, *merchantv1.GetDayReportRequest) (*merchantv1.GetDayReportResponse, error) {
	return nil, errSoon
}
func (s *Service) ExportDayReport(context.Context, *merchantv1.ExportDayReportRequest, merchantv1connect.MerchantServiceExportDayReportServerStream) error {
	return errSoon
}
