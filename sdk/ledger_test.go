package tillbook_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	tillbook "github.com/tillbook/tillbook/sdk"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/ledger"
	"github.com/tillbook/tillbook/store/storetest"
)

// operated is a running server with a client that has an operator's key.
type operated struct {
	database, address, key string
	stop                   func()
	client                 *tillbook.Client
}

func operate(t *testing.T) *operated {
	t.Helper()
	o := &operated{database: storetest.NewDatabase(t)}
	o.address, o.stop = startServer(t, o.database, "127.0.0.1:0")
	owner := storetest.Open(t, store.Config{URL: o.database, Role: store.NoRole})
	var err error
	if _, o.key, err = owner.CreateOperator(t.Context(), "olga"); err != nil {
		t.Fatal(err)
	}
	o.client = o.another(t)
	return o
}

func (o *operated) another(t *testing.T, options ...tillbook.Option) *tillbook.Client {
	t.Helper()
	client, err := tillbook.New("http://"+o.address, append(options, tillbook.WithOperatorKey(o.key))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// verify has the server prove that its books are right and hold so many
// transactions.
func (o *operated) verify(t *testing.T, transactions int64) {
	t.Helper()
	s := storetest.Open(t, store.Config{URL: o.database})
	report, err := ledger.Verify(t.Context(), s.Pool, ledger.VerifyOptions{})
	if err != nil || !report.OK() || report.Transactions != transactions {
		t.Errorf("the books say %+v, %v; want %d transactions", report, err, transactions)
	}
}

func posting(account, amount string) *tillbook.Posting {
	return &tillbook.Posting{Account: account, Amount: tillbook.MustMoney(amount).Proto()}
}

func adjustment(from, to, amount string) *tillbook.PostTransactionRequest {
	return &tillbook.PostTransactionRequest{
		Reason: "test", Postings: []*tillbook.Posting{posting(from, "-"+amount), posting(to, amount)},
	}
}

func TestAnOperatorHoldsCapturesRefundsAndReverses(t *testing.T) {
	o := operate(t)
	holder := member(t, o.address, "holder", "+62 812 2000 0101", "100 USD")
	ctx, books := t.Context(), o.client.Ledger
	me, err := holder.Auth.Me(ctx)
	if err != nil {
		t.Fatal(err)
	}
	account := "user/" + me.GetUserId() + "/main/USD"

	hold, err := books.CreateHold(ctx, &tillbook.CreateHoldRequest{Account: account, Amount: tillbook.MustMoney("20 USD").Proto()})
	if err != nil {
		t.Fatal(err)
	}
	if hold, err = books.IncreaseHold(ctx, &tillbook.IncreaseHoldRequest{HoldId: hold.GetHoldId(), Amount: tillbook.MustMoney("5 USD").Proto()}); err != nil {
		t.Fatal(err)
	}
	capture := &tillbook.CaptureHoldRequest{HoldId: hold.GetHoldId(), Reason: "sold", Credits: []*tillbook.Posting{posting("external/shop/USD", "10 USD")}}
	captured, err := books.CaptureHold(ctx, capture)
	if err != nil || captured.GetHold().GetRemaining().GetAmount() != "15.00" {
		t.Fatalf("got %v, %v", captured, err)
	}
	if hold, err = books.VoidHold(ctx, &tillbook.VoidHoldRequest{HoldId: hold.GetHoldId()}); err != nil {
		t.Fatal(err)
	}
	_, err = books.CaptureHold(ctx, capture)
	if e := asError(t, err); e.Reason != tillbook.ReasonHoldClosed || e.Outcome != tillbook.OutcomeNotExecuted || e.IdempotencyKey == "" {
		t.Errorf("got %v with outcome %v", e, e.Outcome)
	}
	for listed, err := range books.Holds(ctx, &tillbook.ListHoldsRequest{Account: account}) {
		if err != nil || listed.GetHoldId() != hold.GetHoldId() {
			t.Errorf("listed is %v, %v", listed, err)
		}
	}
	sold := captured.GetTransaction().GetTransactionId()
	refund, err := books.Refund(ctx, &tillbook.RefundTransactionRequest{TransactionId: sold, Amount: tillbook.MustMoney("4 USD").Proto(), Reason: "late"})
	if err != nil || refund.GetOriginalTransactionId() != sold {
		t.Fatalf("got %v, %v", refund, err)
	}
	reversal, err := books.Reverse(ctx, &tillbook.ReverseTransactionRequest{TransactionId: sold, Reason: "never came"})
	if err != nil || reversal.GetEntries()[0].GetAmount().GetAmount() != "6.00" {
		t.Fatalf("got %v, %v", reversal, err)
	}
	_, err = books.Refund(ctx, &tillbook.RefundTransactionRequest{TransactionId: sold, Reason: "again"})
	if !errors.Is(err, tillbook.ReasonRefundExceeded) {
		t.Errorf("got %v", err)
	}
	o.verify(t, 4)
}

func TestItemsOfABulkGetKeysAndNameTheirRefusals(t *testing.T) {
	o := operate(t)
	ctx, books := t.Context(), o.client.Ledger
	items := []*tillbook.PostTransactionRequest{
		adjustment("external/x/USD", "system/a/USD", "1 USD"), adjustment("external/x/USD", "user/none/main/USD", "1 USD"),
	}
	_, err := books.PostAll(ctx, items)
	e := asError(t, err)
	if e.Reason != tillbook.ReasonAccountNotFound || e.Outcome != tillbook.OutcomeNotExecuted || e.Metadata["item_index"] != "1" ||
		len(e.Fields) != 1 || e.Fields[0].Field != "items[1].postings[1].account" {
		t.Errorf("got %v with metadata %v and outcome %v", e, e.Metadata, e.Outcome)
	}
	results, err := books.PostEach(ctx, items)
	if err != nil || results[0].GetTransaction() == nil || results[1].GetFailure().GetReason() != string(tillbook.ReasonAccountNotFound) {
		t.Errorf("got %v, %v", results, err)
	}
	posted, err := books.PostAll(ctx, []*tillbook.PostTransactionRequest{items[0], items[0]})
	if err != nil || len(posted) != 2 || posted[0].GetTransactionId() == posted[1].GetTransactionId() {
		t.Errorf("got %v, %v", posted, err)
	}
	if items[0].GetIdempotencyKey() != "" {
		t.Error("the caller's item was changed")
	}
	o.verify(t, 3)
}

// legacy gives n items, a second apart, and lets between look at each before it
// is read.
func legacy(n int, between func(i int)) iter.Seq[*tillbook.ImportItem] {
	begin := time.Date(2024, 3, 1, 12, 0, 0, 0, time.UTC)
	return func(yield func(*tillbook.ImportItem) bool) {
		for i := range n {
			between(i)
			if !yield(&tillbook.ImportItem{
				Time: timestamppb.New(begin.Add(time.Duration(i) * time.Second)), Note: fmt.Sprint("old ", i),
				Postings: []*tillbook.Posting{posting("external/old/USD", "-1 USD"), posting(fmt.Sprintf("system/s%d/USD", i%3), "1 USD")},
			}) {
				return
			}
		}
	}
}

func TestAnImportGoesOnThroughRestartsFromTwoClients(t *testing.T) {
	o := operate(t)
	const items = 6000
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	restarts := 0
	restart := func(i int) {
		if restarts < 2 && i == (restarts+1)*items/3 {
			restarts++
			o.stop()
			_, o.stop = startServer(t, o.database, o.address)
		}
	}
	other := o.another(t, tillbook.WithRetries(10))
	first := o.another(t, tillbook.WithRetries(10))
	var importing sync.WaitGroup
	for n, between := range []func(int){restart, func(int) {}} {
		importing.Go(func() {
			client := []*tillbook.Client{first, other}[n]
			done, err := client.Ledger.Import(ctx, "legacy", legacy(items, between))
			if err != nil || done.Items != items {
				t.Errorf("client %d: got %+v, %v", n, done, err)
			}
		})
	}
	importing.Wait()
	if restarts != 2 {
		t.Errorf("the server was restarted %d times", restarts)
	}
	again, err := o.another(t).Ledger.Import(ctx, "legacy", legacy(items, func(int) {}))
	if err != nil || again.Items != items || again.New != 0 {
		t.Errorf("a second time: %+v, %v", again, err)
	}
	o.verify(t, items)
}

func TestARefusedItemEndsAnImportWithItsReason(t *testing.T) {
	o := operate(t)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	clients := map[string]*tillbook.Client{
		"HTTP/1.1": o.client, "HTTP/2": o.another(t, tillbook.WithHTTPClient(&http.Client{Transport: transport})),
	}
	for name, client := range clients {
		t.Run(name, func(t *testing.T) {
			which := strings.ReplaceAll(name, "/", "-")
			bad := func(yield func(*tillbook.ImportItem) bool) {
				n := 0
				for item := range legacy(20_000, func(int) {}) {
					item.Postings = []*tillbook.Posting{posting("external/"+which+"/USD", "-1 USD"), posting("system/"+which+"/USD", "1 USD")}
					if n++; n == 1200 {
						item.Time = timestamppb.New(time.Now().Add(time.Hour))
					}
					if !yield(item) {
						return
					}
				}
			}
			done, err := client.Ledger.Import(t.Context(), which, bad)
			e := asError(t, err)
			if e.Reason != tillbook.ReasonImportTimeInvalid || e.Metadata["sequence"] != "1200" || e.Metadata["next_sequence"] != "1001" {
				t.Errorf("got %v with metadata %v", e, e.Metadata)
			}
			if done.Items != 1000 || done.New != 1000 {
				t.Errorf("done is %+v, want 1000", done)
			}
		})
	}
	o.verify(t, 2000)
}
