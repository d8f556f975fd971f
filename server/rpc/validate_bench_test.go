package rpc

import (
	"testing"

	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
)

func BenchmarkValidateTransfer(b *testing.B) {
	v, err := NewValidator()
	if err != nil {
		b.Fatal(err)
	}
	req := &walletv1.TransferRequest{
		IdempotencyKey: "0198c2d4-5f0e-7c3a-9f6e-3a1f2b4c5d6e",
		Recipient:      &walletv1.Recipient{Recipient: &walletv1.Recipient_UserId{UserId: "usr_06b0q7z8k4f0001m2n3p4q5r6s"}},
		Amount:         &moneyv1.Money{Asset: "USD", Amount: "12.50"},
		Note:           "lunch",
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := v.Validate(req); err != nil {
			b.Fatal(err)
		}
	}
}
