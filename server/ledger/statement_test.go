package ledger_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	"github.com/tillbook/tillbook/gen/tillbook/ledger/v1/ledgerv1connect"
	statementv1 "github.com/tillbook/tillbook/gen/tillbook/statement/v1"
	"github.com/tillbook/tillbook/server/money/moneytest"
)

func export(t testing.TB, c ledgerv1connect.LedgerServiceClient, account string, format statementv1.StatementFormat) (string, error) {
	t.Helper()
	stream, err := c.ExportStatement(t.Context(), &ledgerv1.ExportStatementRequest{
		Account: account, Format: format, StartTime: timestamppb.New(time.Now().Add(-time.Hour)),
	})
	if err != nil {
		return "", err
	}
	defer stream.Close()
	var document bytes.Buffer
	for {
		res, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			return document.String(), nil
		}
		if err != nil {
			return "", err
		}
		document.Write(res.GetChunk())
	}
}

func TestAnOperatorExportsAnyAccount(t *testing.T) {
	books := moneytest.New(t)
	c := serve(t, books).as(newOperator())
	mustPost(t, c, post("1", "+1 for luck", "external/bank/USD -1 USD", "system/x/USD 1 USD"))
	mustPost(t, c, post("2", "fees", "external/bank/USD -3 USD", "system/x/USD 1 USD", "system/y/USD 2 USD"))
	got, err := export(t, c, "system/x/USD", statementv1.StatementFormat_STATEMENT_FORMAT_CSV)
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, line := range strings.Split(strings.TrimSpace(got), "\r\n")[1:] {
		f := strings.Split(line, ",")
		rows = append(rows, strings.Join(slices.Delete(f, 2, 3)[1:], ","))
	}
	want := []string{
		"opening_balance,,,,0.00,USD",
		"adjustment,external/bank/USD,'+1 for luck,1.00,1.00,USD",
		"adjustment,2 accounts,fees,1.00,2.00,USD",
		"closing_balance,,,,2.00,USD",
	}
	if !slices.Equal(rows, want) {
		t.Errorf("the statement is\n%q, want\n%q", rows, want)
	}
	got, err = export(t, c, "external/bank/USD", statementv1.StatementFormat_STATEMENT_FORMAT_CAMT053)
	if err != nil || !strings.Contains(got, "<NbOfNtries>2</NbOfNtries>") || strings.Count(got, "DBIT") != 5 {
		t.Errorf("the statement is (%v)\n%s", err, got)
	}
	_, err = export(t, c, "system/none/USD", statementv1.StatementFormat_STATEMENT_FORMAT_CSV)
	moneytest.WantRefusal(t, err, "ACCOUNT_NOT_FOUND")
}

func TestTheTrialBalanceIsShownAsItWas(t *testing.T) {
	books := moneytest.New(t)
	c := serve(t, books).as(newOperator())
	first := mustPost(t, c, post("1", "r", "external/bank/USD -1 USD", "system/x/USD 1 USD"))
	mustPost(t, c, post("2", "r", "external/bank/USD -1 USD", "system/x/USD 1 USD"))
	mustPost(t, c, post("3", "r", "external/bank/JPY -1 JPY", "system/x/JPY 1 JPY"))
	res, err := c.GetTrialBalance(t.Context(), &ledgerv1.GetTrialBalanceRequest{AsOfTime: first.GetCreateTime()})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range res.GetLines() {
		got = append(got, fmt.Sprintf("%s %s %d %s", l.GetAsset(), l.GetAccountClass(), l.GetAccounts(), l.GetBalance().GetAmount()))
	}
	if want := []string{"USD external 1 -1.00", "USD system 1 1.00"}; !slices.Equal(got, want) {
		t.Errorf("it was %q, want %q", got, want)
	}
	_, err = c.GetTrialBalance(t.Context(), &ledgerv1.GetTrialBalanceRequest{AsOfTime: &timestamppb.Timestamp{Seconds: 1 << 60}})
	moneytest.WantRefusal(t, err, "INVALID_ARGUMENT")
}
