package wallet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/server/checkout"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/qr"
	"github.com/tillbook/tillbook/server/rate"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/id"
)

// checkoutRule bounds how fast a user can look at sales, and codeRule how fast they
// can make codes to be charged by: so many at once, then one in that time.
var (
	checkoutRule = rate.Rule{Name: "wallet.checkout", Per: time.Second, Burst: 60}
	codeRule     = rate.Rule{Name: "wallet.payment_code", Per: 5 * time.Second, Burst: 20}
)

var (
	errNoCheckout = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_NOT_FOUND, "There is no such checkout.")
	errNoStore    = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_NOT_FOUND, "There is no such store.")
	errForeignQR  = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_QR_TEXT_INVALID, "The code is for another payment system.").
			WithField("qr_text", "must be one of Tillbook's")
)

// GetCheckout finds a sale by its id, its code or a QR text.
func (s *Service) GetCheckout(ctx context.Context, req *walletv1.GetCheckoutRequest) (*walletv1.GetCheckoutResponse, error) {
	user := rpc.PrincipalFrom(ctx).User
	if err := s.limiter.Allow(ctx, checkoutRule, user.String()); err != nil {
		return nil, err
	}
	code := req.GetCode()
	var scanned qr.Code
	if text := req.GetQrText(); text != "" {
		var err error
		if scanned, err = readQR(text); err != nil {
			return nil, err
		}
		if code = scanned.Checkout; code == "" {
			return s.storeOf(ctx, scanned.Store)
		}
	}
	c, err := s.findCheckout(ctx, req.GetCheckoutId(), code)
	if err != nil {
		return nil, err
	}
	shown, err := s.checkouts.Message(ctx, c, checkout.ForCustomer(user))
	if err != nil {
		return nil, err
	}
	if scanned.Ours() && scanned.Store != shown.GetStoreId() { // whoever printed it lies
		return nil, errNoCheckout
	}
	return &walletv1.GetCheckoutResponse{
		Checkout: shown, MerchantName: shown.GetMerchantName(), StoreName: shown.GetStoreName(),
	}, nil
}

func (s *Service) findCheckout(ctx context.Context, text, code string) (*checkout.Checkout, error) {
	if code != "" {
		return s.checkouts.ByCode(ctx, code)
	}
	return s.checkouts.Get(ctx, checkout.Scope{}, text)
}

func readQR(text string) (qr.Code, error) {
	scanned, err := qr.Parse(text)
	if err != nil {
		return qr.Code{}, rpc.NewError(errorv1.ErrorReason_ERROR_REASON_QR_TEXT_INVALID, "%s", err.Error()).
			WithField("qr_text", "must be the text of a Tillbook QR code").WithCause(err)
	}
	if !scanned.Ours() {
		return qr.Code{}, errForeignQR
	}
	return scanned, nil
}

// storeOf finds whose static code was scanned.
func (s *Service) storeOf(ctx context.Context, text string) (*walletv1.GetCheckoutResponse, error) {
	wanted, err := id.Parse(id.Store, text)
	if err != nil {
		return nil, errNoStore.WithCause(err)
	}
	found, err := s.store.Queries().GetStoreNames(ctx, wanted)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errNoStore.WithCause(err)
	}
	if err != nil {
		return nil, fmt.Errorf("finding a store: %w", err)
	}
	return &walletv1.GetCheckoutResponse{StoreId: text, MerchantName: found.MerchantName, StoreName: found.StoreName}, nil
}

// PayCheckout pays a sale or authorizes it.
func (s *Service) PayCheckout(ctx context.Context, req *walletv1.PayCheckoutRequest) (*walletv1.PayCheckoutResponse, error) {
	user := rpc.PrincipalFrom(ctx).User
	c, t, err := s.checkouts.Pay(ctx, &checkout.Payment{
		User: user, Key: req.GetIdempotencyKey(), Checkout: req.GetCheckoutId(), Tip: req.GetTip(),
	})
	if err != nil {
		return nil, err
	}
	res := &walletv1.PayCheckoutResponse{}
	res.Checkout, err = s.checkouts.Message(ctx, c, checkout.ForCustomer(user))
	if err == nil && t != nil {
		res.Transaction, err = s.View(ctx, user, t)
	}
	if err != nil {
		return nil, rpc.AsError(err).WithOutcome(errorv1.Outcome_OUTCOME_EXECUTED)
	}
	return res, nil
}

// DeclineCheckout refuses to pay a sale.
func (s *Service) DeclineCheckout(ctx context.Context, req *walletv1.DeclineCheckoutRequest) (*walletv1.DeclineCheckoutResponse, error) {
	user := rpc.PrincipalFrom(ctx).User
	c, err := s.checkouts.Decline(ctx, req.GetCheckoutId())
	if err != nil {
		return nil, err
	}
	shown, err := s.checkouts.Message(ctx, c, checkout.ForCustomer(user))
	return &walletv1.DeclineCheckoutResponse{Checkout: shown}, err
}

// CreatePaymentCode makes a code for a terminal to scan.
func (s *Service) CreatePaymentCode(ctx context.Context, req *walletv1.CreatePaymentCodeRequest) (*walletv1.CreatePaymentCodeResponse, error) {
	user := rpc.PrincipalFrom(ctx).User
	maximum, err := money.ParsePositive(ctx, s.ledger, req.GetMaximum(), "maximum")
	if err != nil {
		return nil, err
	}
	if err := s.limiter.Allow(ctx, codeRule, user.String()); err != nil {
		return nil, err
	}
	code, expire, err := s.checkouts.IssueCode(ctx, user, maximum)
	if err != nil {
		return nil, err
	}
	return &walletv1.CreatePaymentCodeResponse{PaymentCode: code, ExpireTime: timestamppb.New(expire)}, nil
}

// How many merchants' names are remembered and how long; they don't change.
const (
	merchantsCached = 10_000
	merchantsLife   = time.Hour
)

// merchantNames returns what merchants are called.
func (s *Service) merchantNames(ctx context.Context, merchants []uuid.UUID) (map[uuid.UUID]string, error) {
	names := make(map[uuid.UUID]string, len(merchants))
	var unknown []uuid.UUID
	for _, m := range merchants {
		if name, ok := s.merchants.get(m); ok {
			names[m] = name
		} else {
			unknown = append(unknown, m)
		}
	}
	if len(unknown) == 0 {
		return names, nil
	}
	rows, err := s.store.Queries().ListMerchantNames(ctx, unknown)
	if err != nil {
		return nil, fmt.Errorf("loading the names of merchants: %w", err)
	}
	for _, row := range rows {
		names[row.ID] = row.Name
		s.merchants.put(row.ID, row.Name)
	}
	return names, nil
}
