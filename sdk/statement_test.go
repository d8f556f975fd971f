package tillbook_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	tillbook "github.com/tillbook/tillbook/sdk"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

// full fails to be written to.
type full struct{}

var errFull = errors.New("the disk is full")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestAStatementIsWrittenAsItArrives(t *testing.T) {
	address, _ := startServer(t, storetest.NewDatabase(t), "127.0.0.1:0")
	client := member(t, address, "reader", "+62 812 2000 0009", "100 USD", "1 ETH")
	funded := time.Now()
	request := &tillbook.ExportStatementRequest{
		Asset: "USD", Format: tillbook.StatementCSV, StartTime: timestamppb.New(funded.Add(-time.Hour)),
	}
	var document bytes.Buffer
	if err := client.Wallet.ExportStatement(t.Context(), request, &document); err != nil {
		t.Fatal(err)
	}
	if got := document.String(); !strings.Contains(got, "opening_balance,,,,,0.00,USD") || !strings.Contains(got, "closing_balance,,,,,100.00,USD") {
		t.Errorf("the statement is\n%s", got)
	}
	if err := client.Wallet.ExportStatement(t.Context(), request, full{}); !errors.Is(err, errFull) {
		t.Errorf("a writer that fails led to %v", err)
	}
	request.Asset, request.Format = "ETH", tillbook.StatementCAMT053
	document.Reset()
	err := client.Wallet.ExportStatement(t.Context(), request, &document)
	if !errors.Is(err, tillbook.ReasonStatementFormatUnsupported) || document.Len() > 0 {
		t.Errorf("a camt.053 of ether led to %v and %d bytes", err, document.Len())
	}
	balances, err := client.Wallet.BalancesAt(t.Context(), funded.Add(-time.Hour))
	if err != nil || len(balances) != 0 {
		t.Errorf("before there was money there was %v (%v)", balances, err)
	}
}

func TestAnOperatorReadsTheBooksAsTheyWere(t *testing.T) {
	database := storetest.NewDatabase(t)
	address, _ := startServer(t, database, "127.0.0.1:0")
	owner := storetest.Open(t, store.Config{URL: database, Role: store.NoRole})
	_, key, err := owner.CreateOperator(t.Context(), "olga")
	if err != nil {
		t.Fatal(err)
	}
	client, err := tillbook.New("http://"+address, tillbook.WithOperatorKey(key))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	_, err = client.Ledger.PostTransaction(t.Context(), &tillbook.PostTransactionRequest{
		Reason: "opening",
		Postings: []*tillbook.Posting{
			{Account: "external/bank/USD", Amount: tillbook.MustMoney("-5 USD").Proto()},
			{Account: "system/fees/USD", Amount: tillbook.MustMoney("5 USD").Proto()},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[time.Duration]int{-time.Hour: 0, time.Hour: 2} {
		if lines, err := client.Ledger.TrialBalanceAt(t.Context(), time.Now().Add(at)); err != nil || len(lines) != want {
			t.Errorf("%v from now the trial balance has the lines %v (%v), want %d", at, lines, err, want)
		}
	}
	var document bytes.Buffer
	err = client.Ledger.ExportStatement(t.Context(), &tillbook.ExportLedgerStatementRequest{
		Account: "system/fees/USD", Format: tillbook.StatementCAMT053, StartTime: timestamppb.New(time.Now().Add(-time.Hour)),
	}, &document)
	if err != nil || !strings.Contains(document.String(), "<Nm>external/bank/USD</Nm>") {
		t.Errorf("the statement is (%v)\n%s", err, document.String())
	}
}
