package tillbook_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	tillbook "github.com/tillbook/tillbook/sdk"
)

func FuzzParseMoney(f *testing.F) {
	for _, text := range []string{"12.50 USD", "-0.00 ETH", "0 IDR", "1e9 USD", "USD", " ", "12.50  USD", "99999999999999999999999999999999999999 IDR", "0.000000000000000000000000000000000000000001 X1", "-- USD"} {
		f.Add(text, "1.5 USD")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		x, err := tillbook.ParseMoney(a)
		if err != nil {
			return
		}
		if again, err := tillbook.ParseMoney(x.String()); err != nil || again != x {
			t.Fatalf("%q reads as %s, which reads as %s, %v", a, x, again, err)
		}
		y, err := tillbook.ParseMoney(b)
		if err != nil {
			return
		}
		sum, err := x.Add(y)
		if err != nil {
			return
		}
		if back, err := sum.Sub(y); err == nil {
			if order, err := back.Cmp(x); err != nil || order != 0 {
				t.Fatalf("%s + %s - %s is %s", x, y, y, back)
			}
		}
	})
}

// Nothing is proven but what the log's key has signed.
func FuzzVerifyReceipt(f *testing.F) {
	l := newLogbook(f, "fuzz.example/books")
	for range 5 {
		l.add([]byte("tillbook/transaction/v1\nid txn_1\ntime 2026-01-02T03:04:05Z\nkind transfer\nentry user/a/USD USD -5\n"))
	}
	good := l.receipt(3, nil)
	seed, err := proto.Marshal(good)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &tillbook.Receipt{}
		if proto.Unmarshal(data, r) != nil {
			return
		}
		if v, err := tillbook.VerifyReceipt(r, l.key); err == nil && v.TransactionID != "txn_1" {
			t.Fatalf("%v proves %+v", r, v)
		}
		// With a leaf of its own under a checkpoint that is right.
		r.Checkpoint = good.GetCheckpoint()
		if _, err := tillbook.VerifyReceipt(r, l.key); err == nil && string(r.GetLeaf()) != string(good.GetLeaf()) {
			t.Fatalf("%v is proven", r)
		}
	})
}

func FuzzVerifyConsistency(f *testing.F) {
	l := newLogbook(f, "fuzz.example/books")
	l.add([]byte("a"))
	older := l.checkpoint()
	l.add([]byte("b"))
	f.Add(older, l.checkpoint(), make([]byte, 32), l.key)
	f.Add("", "", []byte{}, "")
	f.Add(older, "fuzz.example/books\n9223372036854775807\nAAAA\n\n— x AAAA\n", make([]byte, 64), "a+00000000+AAAA")
	f.Fuzz(func(_ *testing.T, older, newer string, proof []byte, key string) {
		var hashes [][]byte
		for len(proof) > 0 {
			n := min(len(proof), 32)
			hashes, proof = append(hashes, proof[:n]), proof[n:]
		}
		_ = tillbook.VerifyConsistency(older, newer, hashes, key)
		_, _ = tillbook.CheckpointSize(newer, l.key)
	})
}
