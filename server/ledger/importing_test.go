package ledger_test

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	"github.com/tillbook/tillbook/gen/tillbook/ledger/v1/ledgerv1connect"
	"github.com/tillbook/tillbook/server/money/moneytest"
)

// past is when the imported transactions of these tests begin.
var past = time.Date(2024, 3, 1, 12, 0, 0, 0, time.UTC)

// importOf is an item that happened so long after past.
func importOf(after time.Duration, postings ...string) *ledgerv1.ImportItem {
	return &ledgerv1.ImportItem{Time: timestamppb.New(past.Add(after)), Note: "old " + after.String(), Postings: parsePostings(postings...)}
}

func chunk(importID string, first int64, items ...*ledgerv1.ImportItem) *ledgerv1.ImportTransactionsRequest {
	return &ledgerv1.ImportTransactionsRequest{ImportId: importID, FirstSequence: first, Items: items}
}

// sendImport sends messages on one stream.
func sendImport(t testing.TB, c ledgerv1connect.LedgerServiceClient, messages ...*ledgerv1.ImportTransactionsRequest) (*ledgerv1.ImportTransactionsResponse, error) {
	t.Helper()
	stream, err := c.ImportTransactions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		// A server that refuses reads no further; why is in the answer.
		if err := stream.Send(m); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
	}
	return stream.CloseAndReceive()
}

func wantImported(t testing.TB, res *ledgerv1.ImportTransactionsResponse, err error, imported, skipped, next int64) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if res.GetImported() != imported || res.GetSkipped() != skipped || res.GetNextSequence() != next {
		t.Errorf("it answers %v, want %d imported, %d skipped, next %d", res, imported, skipped, next)
	}
}

func nextOf(t testing.TB, c ledgerv1connect.LedgerServiceClient, importID string) int64 {
	t.Helper()
	res, err := c.GetImport(t.Context(), &ledgerv1.GetImportRequest{ImportId: importID})
	if err != nil {
		t.Fatal(err)
	}
	return res.GetNextSequence()
}

// history are n items, a minute apart, that move dollars from outside to one of
// three accounts.
func history(n int) []*ledgerv1.ImportItem {
	items := make([]*ledgerv1.ImportItem, n)
	for i := range items {
		items[i] = importOf(time.Duration(i)*time.Minute, "external/old/USD -1 USD", fmt.Sprintf("system/s%d/USD 1 USD", i%3))
	}
	return items
}

func TestAnImportKeepsTheTimesAndTheOrderOfTheOtherSystem(t *testing.T) {
	books := moneytest.New(t)
	c := serve(t, books).as(newOperator())
	if next := nextOf(t, c, "legacy"); next != 1 {
		t.Errorf("an import that never was goes on with %d", next)
	}
	items := history(10)
	res, err := sendImport(t, c, chunk("legacy", 1, items[:4]...), chunk("legacy", 5, items[4:]...))
	wantImported(t, res, err, 10, 0, 11)
	if next := nextOf(t, c, "legacy"); next != 11 {
		t.Errorf("it goes on with %d", next)
	}
	page, err := c.ListEntries(t.Context(), &ledgerv1.ListEntriesRequest{Account: "external/old/USD"})
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range page.GetEntries() { // newest first
		n := 9 - i
		txn := getTransaction(t, c, e.GetTransactionId())
		if !txn.GetCreateTime().AsTime().Equal(past.Add(time.Duration(n)*time.Minute)) || txn.GetKind() != "import" ||
			txn.GetNote() != items[n].GetNote() || e.GetBalanceAfter().GetAmount() != fmt.Sprintf("-%d.00", n+1) {
			t.Errorf("item %d is %v with entry %v", n, txn, e)
		}
	}
	// The books show the past as it was.
	at, err := c.GetAccount(t.Context(), &ledgerv1.GetAccountRequest{
		Code: "external/old/USD", AsOfTime: timestamppb.New(past.Add(4*time.Minute + time.Second)),
	})
	if err != nil || at.GetAccount().GetBalance().GetAmount() != "-5.00" {
		t.Errorf("four minutes on it had %v, %v", at, err)
	}
}

func TestWhatIsImportedAgainIsSkipped(t *testing.T) {
	books := moneytest.New(t)
	c, other := serve(t, books).as(newOperator()), serve(t, books).as(newOperator())
	items := history(20)
	res, err := sendImport(t, c, chunk("i", 1, items[:12]...))
	wantImported(t, res, err, 12, 0, 13)
	// In other messages, by another operator on another replica.
	res, err = sendImport(t, other, chunk("i", 1, items[:5]...), chunk("i", 6, items[5:15]...), chunk("i", 16, items[15:]...))
	wantImported(t, res, err, 8, 12, 21)
	res, err = sendImport(t, c, chunk("i", 1, items...))
	wantImported(t, res, err, 0, 20, 21)
	res, err = sendImport(t, c, chunk("i", 3, items[2:6]...))
	wantImported(t, res, err, 0, 4, 21)
	if n := books.Transactions(t); n != 20 {
		t.Errorf("%d transactions were made, want 20", n)
	}
	// Another import is not concerned, but its times are.
	_, err = sendImport(t, c, chunk("j", 1, items[0]))
	moneytest.WantNothingMoved(t, err, "IMPORT_TIME_INVALID")
}

func TestImportsOfOneMomentFollowEachOther(t *testing.T) {
	books := moneytest.New(t)
	c := serve(t, books).as(newOperator())
	items := make([]*ledgerv1.ImportItem, 1000)
	for i := range items {
		items[i] = importOf(0, "external/old/USD -1 USD", "system/s/USD 1 USD")
	}
	res, err := sendImport(t, c, chunk("i", 1, items...))
	wantImported(t, res, err, 1000, 0, 1001)
	page, err := c.ListEntries(t.Context(), &ledgerv1.ListEntriesRequest{Account: "system/s/USD", PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	if at := page.GetEntries()[0].GetCreateTime().AsTime(); !at.Equal(past.Add(999 * time.Microsecond)) {
		t.Errorf("the last is of %v", at)
	}
}

func TestAnImportIsRefusedByItemAndSaysHowFarItCame(t *testing.T) {
	books := moneytest.New(t)
	c := serve(t, books).as(newOperator())
	alice := books.User(t, "alice")
	books.Fund(t, alice, "10.00 USD")
	good := history(3)
	x, s := "external/new/USD", "system/new/USD"
	later := time.Hour
	old := importOf(later, x+" -1 USD", "system/s0/USD 1 USD")
	old.Time = timestamppb.New(past.Add(-time.Hour))
	future := importOf(later, x+" -1 USD", s+" 1 USD")
	future.Time = timestamppb.New(time.Now().Add(time.Minute))
	odd := importOf(later, x+" -1 USD", s+" 1 USD")
	odd.Time = &timestamppb.Timestamp{Seconds: 1 << 50}
	timeless := importOf(later, x+" -1 USD", s+" 1 USD")
	timeless.Time = nil

	cases := map[string]struct {
		item             *ledgerv1.ImportItem
		reason, field    string
		ofTheWholeStream bool // refused before the item is looked at
	}{
		"from the future":         {future, "IMPORT_TIME_INVALID", "items[1]", false},
		"before what was":         {old, "IMPORT_TIME_INVALID", "items[1]", false},
		"unbalanced":              {importOf(later, x+" -1 USD", s+" 2 USD"), "UNBALANCED_POSTINGS", "items[1]", false},
		"a user's new account":    {importOf(later, x+" -1 USD", "user/x/main/USD 1 USD"), "ACCOUNT_NOT_FOUND", "items[1].postings[1].account", false},
		"the wrong asset":         {importOf(later, "external/old/USD -1 EUR", "external/e/EUR 1 EUR"), "ACCOUNT_ASSET_MISMATCH", "items[1].postings[0].amount.asset", false},
		"too many decimals":       {importOf(later, x+" -1.001 USD", s+" 1.001 USD"), "AMOUNT_TOO_PRECISE", "items[1].postings[0].amount.amount", false},
		"an odd time":             {odd, "INVALID_ARGUMENT", "items[1].time", false},
		"no time":                 {timeless, "INVALID_ARGUMENT", "items[1].time", true},
		"one posting":             {importOf(later, x+" -1 USD"), "INVALID_ARGUMENT", "items[1].postings", true},
		"beyond the user's funds": {importOf(later, alice.Account("USD")+" -11 USD", s+" 11 USD"), "INSUFFICIENT_FUNDS", "items[1]", false},
	}
	n := 0
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			n++
			importID := fmt.Sprint("i", n)
			for i, item := range good {
				item.Time = timestamppb.New(past.Add(time.Duration(10*n+i) * time.Second))
			}
			before := books.Transactions(t)
			second := importOf(later, x+" -1 USD", "system/other/USD 1 USD")
			_, err := sendImport(t, c, chunk(importID, 1, good...), chunk(importID, 4, second, tc.item))
			got := moneytest.WantRefusal(t, err, tc.reason)
			if got.Field != tc.field {
				t.Errorf("the error names field %q, want %q", got.Field, tc.field)
			}
			want := map[string]string{"next_sequence": "4", "sequence": "5", "item_index": "1"}
			if tc.ofTheWholeStream {
				want = map[string]string{"next_sequence": "4"}
			}
			for key, value := range want {
				if got.Metadata[key] != value {
					t.Errorf("metadata %s is %q, want %q", key, got.Metadata[key], value)
				}
			}
			// Its message is executed all or none; those before it were.
			if made := books.Transactions(t) - before; made != 3 {
				t.Errorf("%d transactions were made, want 3", made)
			}
			if next := nextOf(t, c, importID); next != 4 {
				t.Errorf("it goes on with %d", next)
			}
		})
	}
}

func TestAnImportsNumbersAndIdAreKept(t *testing.T) {
	books := moneytest.New(t)
	c := serve(t, books).as(newOperator())
	items := history(6)
	res, err := sendImport(t, c, chunk("i", 1, items[:2]...))
	wantImported(t, res, err, 2, 0, 3)

	_, err = sendImport(t, c, chunk("i", 4, items[3]))
	if got := moneytest.WantNothingMoved(t, err, "IMPORT_SEQUENCE_INVALID"); got.Field != "first_sequence" || got.Metadata["next_sequence"] != "3" {
		t.Errorf("got %+v", got)
	}
	_, err = sendImport(t, c, chunk("i", 3, items[2]), chunk("i", 5, items[4]))
	if got := moneytest.WantRefusal(t, err, "IMPORT_SEQUENCE_INVALID"); got.Metadata["next_sequence"] != "4" {
		t.Errorf("got %+v", got)
	}
	_, err = sendImport(t, c, chunk("i", 4, items[3]), chunk("j", 1, items[4]))
	if got := moneytest.WantRefusal(t, err, "INVALID_ARGUMENT"); got.Field != "import_id" {
		t.Errorf("got %+v", got)
	}
	// A number stands for one item.
	other := importOf(time.Hour, "external/old/USD -2 USD", "system/s0/USD 2 USD")
	_, err = sendImport(t, c, chunk("i", 1, items[0], other))
	if got := moneytest.WantNothingMoved(t, err, "IDEMPOTENCY_KEY_REUSED"); got.Metadata["sequence"] != "2" || got.Metadata["next_sequence"] != "5" {
		t.Errorf("got %+v", got)
	}
	for name, m := range map[string]*ledgerv1.ImportTransactionsRequest{
		"no id": chunk("", 1, items[0]), "no number": chunk("k", 0, items[0]), "no items": chunk("k", 1),
	} {
		_, err = sendImport(t, c, m)
		t.Log(name)
		moneytest.WantNothingMoved(t, err, "INVALID_ARGUMENT")
	}
	if n := books.Transactions(t); n != 4 {
		t.Errorf("%d transactions were made, want 4", n)
	}
}

// Two clients send the same import at once, in messages of other sizes, and are
// cut off over and over.
func TestAnImportInterruptedAndResumedByTwoLosesAndDoublesNothing(t *testing.T) {
	books := moneytest.New(t)
	clients := []ledgerv1connect.LedgerServiceClient{serve(t, books).as(newOperator()), serve(t, books).as(newOperator())}
	items := history(600)
	var imported atomic.Int64
	var done sync.WaitGroup
	for n, c := range clients {
		size := []int{7, 11}[n]
		done.Go(func() {
			for round := 0; ; round++ {
				if round == 1000 {
					t.Errorf("client %d never comes to an end", n)
					return
				}
				next := nextOf(t, c, "i")
				if next > int64(len(items)) {
					return
				}
				// A client that doesn't look begins a little before.
				first := max(1, next-int64(round%3))
				var messages []*ledgerv1.ImportTransactionsRequest
				for at := int(first) - 1; at < len(items) && len(messages) < 4; at += size {
					messages = append(messages, chunk("i", int64(at)+1, items[at:min(at+size, len(items))]...))
				}
				res, err := sendImport(t, c, messages...)
				if err != nil {
					t.Errorf("client %d from %d: %v", n, first, err)
					return
				}
				imported.Add(res.GetImported())
			}
		})
	}
	done.Wait()
	if n := books.Transactions(t); n != len(items) || imported.Load() != int64(n) {
		t.Errorf("%d transactions were made and %d reported, want %d", n, imported.Load(), len(items))
	}
	if got := books.AccountBalance(t, "external/old/USD"); got != "-"+strconv.Itoa(len(items))+".00" {
		t.Errorf("the account has %s", got)
	}
}
