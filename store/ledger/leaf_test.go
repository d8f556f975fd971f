package ledger_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/store/ledger"
)

func exampleLeaf() ledger.Leaf {
	return ledger.Leaf{
		ID:   uuid.MustParse("0196f3a2-7c00-7000-8000-000000000001"),
		Time: time.Date(2026, 11, 26, 17, 0, 0, 123456000, time.FixedZone("Jakarta", 7*3600)),
		Kind: ledger.KindTransfer,
		Key:  ledger.Key(uuid.MustParse("00112233-4455-6677-8899-aabbccddeeff")),
		Entries: []ledger.LeafEntry{
			{Account: "user/usr_1/main/USD", Asset: "USD", Amount: ledger.NewAmount(-1250)},
			{Account: "user/usr_2/main/USD", Asset: "USD", Amount: ledger.NewAmount(1250)},
		},
	}
}

// Every receipt that was ever given depends on these bytes: they can't change.
func TestALeafsBytesAreTheseForGood(t *testing.T) {
	leaf := exampleLeaf()
	const head = `tillbook/transaction/v1
id txn_01jvst4z00e008000000000001
time 2026-11-26T10:00:00.123456Z
kind transfer
key 00112233445566778899aabbccddeeff
entry user/usr_1/main/USD USD -1250
entry user/usr_2/main/USD USD 1250
`
	want := head + "request 0000000000000000000000000000000000000000000000000000000000000000\n"
	if got := string(leaf.Append(nil)); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	o := ledger.Opening{Note: "lunch", Details: []byte(`{"b": 1.50, "a": [1e2]}`)}
	commitment, err := o.Commit()
	if err != nil {
		t.Fatal(err)
	}
	leaf.Commitment = commitment
	want = head + "text 4804fe7083f079f05cab23f3c51b449a7587f3872125d6c1576dbad9af9a3547\n"
	if got := string(leaf.Append(nil)); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func BenchmarkLeaf(b *testing.B) {
	leaf := exampleLeaf()
	var text []byte
	b.ReportAllocs()
	for b.Loop() {
		text = leaf.Append(text[:0])
	}
}
