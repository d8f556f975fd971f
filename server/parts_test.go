package server

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
)

func TestARequestOfMorePartsThanAnyNeedsIsNotDecoded(t *testing.T) {
	item := &checkoutv1.CheckoutItem{Name: "x", Quantity: 1, UnitPrice: &moneyv1.Money{Asset: "USD", Amount: "1"}}
	sale := func(items int) proto.Message {
		m := &merchantv1.CreateCheckoutRequest{}
		for range items {
			m.Items = append(m.Items, item)
		}
		return m
	}
	bulk := &ledgerv1.PostTransactionsRequest{}
	for range 1000 { // the shortest that there are
		posting := &ledgerv1.Posting{Account: "a", Amount: &moneyv1.Money{Asset: "USD", Amount: "1"}}
		bulk.Items = append(bulk.Items, &ledgerv1.PostTransactionRequest{IdempotencyKey: "k", Reason: "r", Postings: []*ledgerv1.Posting{posting, posting}})
	}
	empty := &merchantv1.CreateCheckoutRequest{Items: make([]*checkoutv1.CheckoutItem, 100_000)}
	for i := range empty.Items {
		empty.Items[i] = &checkoutv1.CheckoutItem{}
	}
	for name, tt := range map[string]struct {
		message proto.Message
		refused bool
	}{
		"a large sale":        {sale(100), false},
		"too many items":      {sale(501), true},
		"empty items":         {empty, true},
		"an operator's bulk":  {bulk, false},
		"the largest imports": {importMessage(1, 1000, 140), false},
	} {
		binary, err := proto.Marshal(tt.message)
		if err != nil {
			t.Fatal(err)
		}
		text, err := protojson.Marshal(tt.message)
		if err != nil {
			t.Fatal(err)
		}
		read := tt.message.ProtoReflect().New().Interface()
		f := &frame{message: tt.message.ProtoReflect().New().Interface()}
		if err := (grpcCodec{limit: 1 << 20}).Unmarshal(mem.BufferSlice{mem.SliceBuffer(binary)}, f); err != nil || (f.err != nil) != tt.refused {
			t.Errorf("%s, native door: %v, %v", name, err, f.err)
		}
		if err := checkBinary(binary, read); (err != nil) != tt.refused {
			t.Errorf("%s: %v", name, err)
		}
		if err := checkJSON(text, read); (err != nil) != tt.refused {
			t.Errorf("%s in JSON: %v", name, err)
		}
	}
}

// What is cut off or of another kind is left to the decoder.
func TestCountingPartsStopsWhereDecodingDoes(t *testing.T) {
	m := &merchantv1.CreateCheckoutRequest{}
	for _, data := range [][]byte{
		bytes.Repeat([]byte{0xff}, 4<<10), bytes.Repeat([]byte{0x0b}, 4<<10), append(bytes.Repeat([]byte{0x32, 0}, 2<<10), 0x32),
		[]byte(strings.Repeat("\x32\x7f", 4<<10)), bytes.Repeat([]byte{0x30, 0x01}, 4<<10),
	} {
		_ = checkBinary(data, m)
	}
}
