package checkout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	"github.com/tillbook/tillbook/server/mask"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/qr"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// Viewer is who a checkout is shown to.
type Viewer struct {
	merchant bool
	customer uuid.UUID
}

// ForMerchant sees everything.
func ForMerchant() Viewer { return Viewer{merchant: true} }

// ForTerminal sees everything but what Tillbook keeps.
func ForTerminal() Viewer { return Viewer{} }

// ForCustomer sees the payment only if it is their own, and not what Tillbook keeps.
func ForCustomer(user uuid.UUID) Viewer { return Viewer{customer: user} }

// Message shows a checkout.
func (d *Desk) Message(ctx context.Context, c *Checkout, to Viewer) (*checkoutv1.Checkout, error) {
	list, err := d.Messages(ctx, []*Checkout{c}, to)
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// Messages shows checkouts.
func (d *Desk) Messages(ctx context.Context, list []*Checkout, to Viewer) ([]*checkoutv1.Checkout, error) {
	var payers, payments []uuid.UUID
	for _, c := range list {
		if user, ok := money.OwnerOf(c.row.Payer); ok {
			payers = append(payers, user)
		}
		if c.Payment != uuid.Nil {
			payments = append(payments, c.Payment)
		}
	}
	names, err := d.names(ctx, payers)
	if err != nil {
		return nil, err
	}
	refunds := map[uuid.UUID]ledger.RefundState{}
	if len(payments) > 0 {
		if refunds, err = d.ledger.RefundStates(ctx, payments); err != nil {
			return nil, err
		}
	}
	shown := make([]*checkoutv1.Checkout, len(list))
	for i, c := range list {
		if shown[i], err = c.message(); err != nil {
			return nil, fmt.Errorf("showing checkout %s: %w", c.name(), err)
		}
		payer, _ := money.OwnerOf(c.row.Payer)
		if c.paid() && (to.customer == uuid.Nil || to.customer == payer) {
			shown[i].Payment = c.payment(to, names[payer], refunds[c.Payment])
		}
	}
	return shown, nil
}

// names returns the masked names of users.
func (d *Desk) names(ctx context.Context, users []uuid.UUID) (map[uuid.UUID]string, error) {
	if len(users) == 0 {
		return nil, nil
	}
	rows, err := d.store.Queries().ListPayees(ctx, users)
	if err != nil {
		return nil, fmt.Errorf("loading names: %w", err)
	}
	names := make(map[uuid.UUID]string, len(rows))
	for _, row := range rows {
		names[row.ID] = mask.Name(row.Username)
	}
	return names, nil
}

// paid tells whether there is a payment to show.
func (c *Checkout) paid() bool { return c.State == Authorized || c.State == Succeeded }

func (c *Checkout) message() (*checkoutv1.Checkout, error) {
	r := &c.row
	m := &checkoutv1.Checkout{
		CheckoutId: c.name(), Code: r.Code,
		MerchantId: id.Format(id.Merchant, c.Merchant), MerchantName: r.MerchantName,
		StoreId: id.Format(id.Store, c.Store), StoreName: r.StoreName,
		Amount: money.Format(c.Asset, c.Amount), Reference: r.Reference,
		TipOptions: &checkoutv1.TipOptions{Allowed: r.TipAllowed}, Capture: CaptureMode(r.Capture),
		State: c.State, Expiry: checkoutv1.CheckoutExpiry(r.Expiry),
		CreateTime: timestamppb.New(r.CreateTime), ExpireTime: timestamppb.New(r.ExpireTime),
		DispatchTime: timestamp(r.DispatchTime), AcknowledgeTime: timestamp(r.AcknowledgeTime), CloseTime: timestamp(r.ResolveTime),
	}
	if c.Terminal != uuid.Nil {
		m.TerminalId = id.Format(id.Terminal, c.Terminal)
	}
	if r.HoldCloseTime != nil && c.State != Authorized {
		m.CloseTime = timestamppb.New(*r.HoldCloseTime)
	}
	for _, p := range r.TipPercentages {
		m.TipOptions.Percentages = append(m.GetTipOptions().GetPercentages(), uint32(p))
	}
	var items []item
	if err := json.Unmarshal(r.Items, &items); err != nil {
		return nil, err
	}
	for _, line := range items {
		price, err := ledger.ParseDecimal(line.Price, 0)
		if err != nil {
			return nil, err
		}
		m.Items = append(m.GetItems(), &checkoutv1.CheckoutItem{
			Name: line.Name, Quantity: line.Quantity, UnitPrice: money.Format(c.Asset, price),
		})
	}
	var err error
	if open(c.State) {
		m.QrText, err = c.qrText()
	}
	return m, err
}

func (c *Checkout) payment(to Viewer, name string, refund ledger.RefundState) *checkoutv1.Payment {
	if name == "" { // they were erased
		name = mask.Name("")
	}
	p := &checkoutv1.Payment{MaskedCustomer: name, Total: money.Format(c.Asset, c.Total), Tip: money.Format(c.Asset, c.tip())}
	if c.Payment != uuid.Nil {
		p.TransactionId = id.Format(id.Transaction, c.Payment)
	}
	if to.merchant {
		fee, net := c.Rate.Split(c.Total)
		p.Fee, p.Net = money.Format(c.Asset, fee), money.Format(c.Asset, net)
	}
	if len(refund.Refunds) > 0 {
		p.Refunded = money.Format(c.Asset, refund.Refunded)
	}
	for _, back := range refund.Refunds {
		p.RefundTransactionIds = append(p.GetRefundTransactionIds(), id.Format(id.Transaction, back))
	}
	return p
}

// tip is what of the total goes beyond the amount.
func (c *Checkout) tip() ledger.Amount {
	tip, err := c.Total.Sub(c.Amount)
	if err != nil || tip.Sign() < 0 {
		return ledger.Amount{}
	}
	return tip
}

// qrText is the EMVCo text to show. An amount that is too long for it is left out:
// who scans it with Tillbook sees the checkout's.
func (c *Checkout) qrText() (string, error) {
	code := qr.Code{
		Dynamic: true, Store: id.Format(id.Store, c.Store), Checkout: c.row.Code, Category: c.row.CategoryCode,
		Currency: qr.NoCurrency, Asset: c.Asset.Code, Amount: c.Amount.Decimal(c.Asset.Exponent),
		Country: c.row.Country, Merchant: c.row.MerchantName, City: c.row.City,
	}
	if number, ok := qr.CurrencyNumber(c.Asset.Code); ok && c.Asset.Network == "" {
		code.Currency, code.Asset = number, ""
	}
	if c.row.TipAllowed {
		code.Tip.Handling = qr.TipPrompt
	}
	text, err := qr.Encode(code)
	if errors.Is(err, qr.ErrInvalid) {
		code.Amount = ""
		text, err = qr.Encode(code)
	}
	return text, err
}

// timestamp leaves a time out that never came.
func timestamp(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}
