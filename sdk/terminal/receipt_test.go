package terminal

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
)

func usd(amount string) *moneyv1.Money { return &moneyv1.Money{Asset: "USD", Amount: amount} }

var paidSale = &checkoutv1.Checkout{
	Code: "7K3M9QX2WZ4B", Amount: usd("10.50"), Reference: "Table 4",
	State: checkoutv1.CheckoutState_CHECKOUT_STATE_SUCCEEDED,
	Items: []*checkoutv1.CheckoutItem{
		{Name: "Kopi susu", Quantity: 3, UnitPrice: usd("2.50")},
		{Name: "Nasi goreng with everything on top of it", Quantity: 1, UnitPrice: usd("3.00")},
	},
	CloseTime: timestamppb.New(time.Date(2026, 3, 1, 20, 5, 0, 0, time.UTC)),
	Payment: &checkoutv1.Payment{
		TransactionId: "txn_06b0q7z8k4f0001m2n3p4q5r6s", MaskedCustomer: "a**", Tip: usd("1.00"), Total: usd("11.50"), Refunded: usd("0.00"),
	},
}

var stall = &terminalv1.Configuration{MerchantName: "Kopi Senja", StoreName: "Braga", City: "Bandung", TimeZone: "Asia/Jakarta"}

func TestAReceiptSaysWhatWasPaid(t *testing.T) {
	want := `           Kopi Senja
             Braga
            Bandung
--------------------------------
2026-03-02 03:05    7K3M9QX2WZ4B
Table 4
--------------------------------
Kopi susu
  3 x 2.50                  7.50
Nasi goreng with everything on
top of it
  1 x 3.00                  3.00
--------------------------------
Amount                 USD 10.50
Tip                     USD 1.00
Paid                   USD 11.50
By                           a**
--------------------------------
txn_06b0q7z8k4f0001m2n3p4q5r6s
`
	if got := Receipt(paidSale, stall, 32); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestNoLineOfAReceiptIsTooLong(t *testing.T) {
	for width := range 60 {
		for line := range strings.Lines(Receipt(paidSale, stall, width)) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > max(width, minReceiptWidth) {
				t.Fatalf("width %d: %q has %d", width, line, n)
			}
		}
	}
}

func TestAmountsAreMultipliedExactly(t *testing.T) {
	for _, tt := range []struct {
		decimal string
		n       uint32
		want    string
	}{
		{"0.01", 3, "0.03"}, {"0.00", 9, "0.00"}, {"7", 10000, "70000"}, {"0.1", 10, "1.0"},
		{"99999999999999999999.999999999999999999", 10000, "999999999999999999999999.999999999999990000"}, {"x", 1, ""},
	} {
		if got := times(tt.decimal, tt.n); got != tt.want {
			t.Errorf("%d x %s = %s, want %s", tt.n, tt.decimal, got, tt.want)
		}
	}
}
