package wallet_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	statementv1 "github.com/tillbook/tillbook/gen/tillbook/statement/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	"github.com/tillbook/tillbook/server/money/moneytest"
)

const (
	asCSV  = statementv1.StatementFormat_STATEMENT_FORMAT_CSV
	asCamt = statementv1.StatementFormat_STATEMENT_FORMAT_CAMT053
)

// export asks for a statement and reads it to its end.
func export(ctx context.Context, c walletv1connect.WalletServiceClient, req *walletv1.ExportStatementRequest) ([]byte, error) {
	stream, err := c.ExportStatement(ctx, req)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	var document bytes.Buffer
	for {
		res, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			return document.Bytes(), nil
		}
		if err != nil {
			return document.Bytes(), err
		}
		document.Write(res.GetChunk())
	}
}

func mustExport(t testing.TB, c walletv1connect.WalletServiceClient, req *walletv1.ExportStatementRequest) string {
	t.Helper()
	document, err := export(t.Context(), c, req)
	if err != nil {
		t.Fatalf("export: %v", err)
	}
	return string(document)
}

// fromTheStart asks for all there is of an asset.
func fromTheStart(asset string, format statementv1.StatementFormat) *walletv1.ExportStatementRequest {
	return &walletv1.ExportStatementRequest{
		Asset: asset, Format: format, StartTime: timestamppb.New(time.Now().Add(-time.Hour)),
	}
}

func stamp(at *timestamppb.Timestamp) string {
	return at.AsTime().Format("2006-01-02T15:04:05.000000Z")
}

func TestAStatementTiesOpeningToClosing(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "100.00 USD")
	first := mustPay(t, r.as(alice), transfer("1", "12.50 USD", byID(bob)))
	second := mustPay(t, r.as(bob), transfer("2", "2 USD", byID(alice)))
	req := transfer("3", "5 USD", byID(bob))
	req.Note = `=HYPERLINK("http://x","y")`
	third := mustPay(t, r.as(alice), req)
	fourth := mustPay(t, r.as(alice), transfer("4", "1 USD", byID(bob)))

	// Its first moment counts, its end doesn't.
	got := mustExport(t, r.as(alice), &walletv1.ExportStatementRequest{
		Asset: "USD", Format: asCSV, StartTime: second.GetCreateTime(), EndTime: fourth.GetCreateTime(),
	})
	want := strings.Join([]string{
		"time,type,transaction_id,counterparty,note,amount,balance,asset",
		stamp(second.GetCreateTime()) + ",opening_balance,,,,,87.50,USD",
		stamp(second.GetCreateTime()) + ",transfer," + second.GetTransactionId() + ",b***y,,2.00,89.50,USD",
		stamp(third.GetCreateTime()) + ",transfer," + third.GetTransactionId() + `,b***y,"'=HYPERLINK(""http://x"",""y"")",-5.00,84.50,USD`,
		stamp(fourth.GetCreateTime()) + ",closing_balance,,,,,84.50,USD",
		"",
	}, "\r\n")
	if got != want {
		t.Errorf("the statement is\n%s\nwant\n%s", got, want)
	}
	if strings.Contains(got, first.GetTransactionId()) {
		t.Error("the statement has what happened before it")
	}
	all := mustExport(t, r.as(alice), fromTheStart("USD", asCSV))
	if n := strings.Count(all, "\r\n"); n != 8 || !strings.Contains(all, "opening_balance,,,,,0.00,USD") ||
		!strings.Contains(all, ",funding,") || !strings.Contains(all, ",External,") {
		t.Errorf("from the start it is\n%s", all)
	}
}

func TestAStatementAboutThePastIsTheSameEachTime(t *testing.T) {
	books := moneytest.New(t)
	here, there := serve(t, books), serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "100.00 USD")
	for i := range 5 {
		mustPay(t, here.as(alice), transfer(fmt.Sprint(i), "1 USD", byID(bob)))
	}
	for _, format := range []statementv1.StatementFormat{asCSV, asCamt} {
		req := fromTheStart("USD", format)
		req.EndTime = timestamppb.Now()
		before := mustExport(t, here.as(alice), req)
		mustPay(t, there.as(alice), transfer(format.String(), "1 USD", byID(bob)))
		if after := mustExport(t, there.as(alice), req); after != before {
			t.Errorf("it was\n%s\nand is\n%s", before, after)
		}
		req.EndTime = nil
		if now := mustExport(t, here.as(alice), req); now == before {
			t.Error("a later statement is the same")
		}
	}
}

func TestAStatementIsWrittenInItsReadersTimeZone(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice := books.User(t, "alice")
	books.Fund(t, alice, "1.00 USD")
	for _, format := range []statementv1.StatementFormat{asCSV, asCamt} {
		req := fromTheStart("USD", format)
		req.TimeZone = "Asia/Jakarta"
		if got := mustExport(t, r.as(alice), req); strings.Count(got, "+07:00") < 3 || strings.Contains(got, "Z,") {
			t.Errorf("it is\n%s", got)
		}
	}
}

func TestAStatementThatCantBeWrittenIsRefusedBeforeItBegins(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice := books.User(t, "alice")
	for _, sum := range []string{"1.00 USD", "1.00000000 FIII", "1.000000 USDC", "0.000000000000000001 ETH", "12345678901234567.00 EUR"} {
		books.Fund(t, alice, sum)
	}
	with := func(asset string, change func(*walletv1.ExportStatementRequest)) *walletv1.ExportStatementRequest {
		req := fromTheStart(asset, asCSV)
		change(req)
		return req
	}
	cases := map[string]struct {
		req    *walletv1.ExportStatementRequest
		reason string
		field  string
	}{
		"no format":             {fromTheStart("USD", 0), "INVALID_ARGUMENT", "format"},
		"an unknown format":     {fromTheStart("USD", 7), "INVALID_ARGUMENT", "format"},
		"no asset":              {fromTheStart("", asCSV), "INVALID_ARGUMENT", "asset"},
		"an unknown asset":      {fromTheStart("XXY", asCSV), "ASSET_NOT_FOUND", "asset"},
		"an asset never had":    {fromTheStart("JPY", asCSV), "NOT_FOUND", ""},
		"no start":              {&walletv1.ExportStatementRequest{Asset: "USD", Format: asCSV}, "INVALID_ARGUMENT", "start_time"},
		"an end that is no end": {with("USD", func(r *walletv1.ExportStatementRequest) { r.EndTime = r.StartTime }), "INVALID_ARGUMENT", "start_time"},
		"a future": {with("USD", func(r *walletv1.ExportStatementRequest) {
			r.StartTime = timestamppb.New(time.Now().Add(time.Hour))
		}), "INVALID_ARGUMENT", "start_time"},
		"a long range": {with("USD", func(r *walletv1.ExportStatementRequest) {
			r.StartTime = timestamppb.New(time.Now().AddDate(-11, 0, 0))
		}), "INVALID_ARGUMENT", "end_time"},
		"no time": {with("USD", func(r *walletv1.ExportStatementRequest) {
			r.EndTime = &timestamppb.Timestamp{Seconds: 1 << 60}
		}), "INVALID_ARGUMENT", "end_time"},
		"an unknown zone":         {with("USD", func(r *walletv1.ExportStatementRequest) { r.TimeZone = "Asia/Atlantis" }), "INVALID_ARGUMENT", "time_zone"},
		"the server's zone":       {with("USD", func(r *walletv1.ExportStatementRequest) { r.TimeZone = "Local" }), "INVALID_ARGUMENT", "time_zone"},
		"a path for a zone":       {with("USD", func(r *walletv1.ExportStatementRequest) { r.TimeZone = "../../etc/passwd" }), "INVALID_ARGUMENT", "time_zone"},
		"a coin in camt":          {fromTheStart("FIII", asCamt), "STATEMENT_FORMAT_UNSUPPORTED", "format"},
		"a token in camt":         {fromTheStart("USDC", asCamt), "STATEMENT_FORMAT_UNSUPPORTED", "format"},
		"three letters in camt":   {fromTheStart("ETH", asCamt), "STATEMENT_FORMAT_UNSUPPORTED", "format"},
		"nineteen digits in camt": {fromTheStart("EUR", asCamt), "STATEMENT_FORMAT_UNSUPPORTED", "format"},
	}
	for name, c := range cases {
		document, err := export(t.Context(), r.as(alice), c.req)
		refused := moneytest.WantRefusal(t, err, c.reason)
		if refused.Field != c.field || len(document) > 0 {
			t.Errorf("%s: the field is %q, want %q, after %d bytes", name, refused.Field, c.field, len(document))
		}
	}
	// People can read them all.
	for _, asset := range []string{"FIII", "USDC", "ETH", "EUR"} {
		if got := mustExport(t, r.as(alice), fromTheStart(asset, asCSV)); strings.Count(got, asset) != 3 {
			t.Errorf("in %s it is\n%s", asset, got)
		}
	}
}

// fill gives a user an account with many entries, of one cent each.
func fill(t testing.TB, books *moneytest.Books, u moneytest.User, entries int) {
	t.Helper()
	books.Fund(t, u, "0.01 USD")
	conn, err := pgx.Connect(t.Context(), books.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, sql := range []string{`
		INSERT INTO transactions (id, key_hash, create_time, kind, a_account, a_version, a_amount, a_balance,
		                          b_account, b_version, b_amount, b_balance, fingerprint)
		SELECT ('f0000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
		       ('e0000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
		       s.last_time + n * interval '1 microsecond', 2,
		       s.id, s.version + n, -1, s.balance - n, u.id, u.version + n, 1, u.balance + n, sha256('x')
		  FROM accounts s, accounts u, generate_series(1, $2::int) n
		 WHERE s.code = 'external/sandbox/USD' AND u.code = $1`, `
		UPDATE accounts
		   SET version = version + $2::int, last_time = last_time + $2::int * interval '1 microsecond',
		       balance = balance + CASE WHEN code = $1 THEN $2::int ELSE -$2::int END
		 WHERE code IN ('external/sandbox/USD', $1)`,
	} {
		if _, err := conn.Exec(t.Context(), sql, u.Account("USD"), entries); err != nil {
			t.Fatal(err)
		}
	}
}

func TestALongStatementIsWhole(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice := books.User(t, "alice")
	fill(t, books, alice, 20_000)
	time.Sleep(50 * time.Millisecond) // The last of them lie microseconds ahead.
	rows, err := csv.NewReader(strings.NewReader(mustExport(t, r.as(alice), fromTheStart("USD", asCSV)))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 20_004 {
		t.Errorf("it has %d lines", len(rows))
	}
	for i, row := range rows[2 : len(rows)-1] {
		if want := fmt.Sprintf("%d.%02d", (i+1)/100, (i+1)%100); row[6] != want {
			t.Fatalf("line %d is %v, want balance %s", i, row, want)
		}
	}
}

func TestAReaderWhoLeavesEndsTheStatement(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice := books.User(t, "alice")
	fill(t, books, alice, 20_000)
	// More than may run at once: each must have left before the next begins.
	for range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		stream, err := r.as(alice).ExportStatement(ctx, fromTheStart("USD", asCSV))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Receive(); err != nil {
			t.Fatal(err)
		}
		cancel()
		_ = stream.Close()
		waitForRoom(t, r, alice)
	}
}

// waitForRoom waits until two statements can begin again.
func waitForRoom(t testing.TB, r replica, u moneytest.User) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		first, second := begin(t, r, u), begin(t, r, u)
		if first && second {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the statement goes on without a reader")
		}
	}
}

func begin(t testing.TB, r replica, u moneytest.User) bool {
	t.Helper()
	stream, err := r.as(u).ExportStatement(t.Context(), fromTheStart("USD", asCSV))
	if err != nil {
		return false
	}
	defer stream.Close()
	_, err = stream.Receive()
	return err == nil
}

func TestAUserIsSentFewStatementsAtOnce(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice := books.User(t, "alice")
	fill(t, books, alice, 20_000)
	for range 2 {
		stream, err := r.as(alice).ExportStatement(t.Context(), fromTheStart("USD", asCSV))
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		if _, err := stream.Receive(); err != nil {
			t.Fatal(err)
		}
	}
	_, err := export(t.Context(), r.as(alice), fromTheStart("USD", asCSV))
	moneytest.WantRefusal(t, err, "RATE_LIMITED")
}

func TestAStatementThatDoesntTieDoesntEnd(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice := books.User(t, "alice")
	books.Fund(t, alice, "1.00 USD")
	books.Fund(t, alice, "2.00 USD")
	tamper := func(change string) {
		conn, err := pgx.Connect(t.Context(), books.URL())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		if _, err := conn.Exec(t.Context(), `UPDATE transactions SET b_balance = b_balance + ($1::text)::int WHERE b_version = 1`, change); err != nil {
			t.Fatal(err)
		}
	}
	tamper("1")
	for _, format := range []statementv1.StatementFormat{asCSV, asCamt} {
		document, err := export(t.Context(), r.as(alice), fromTheStart("USD", format))
		moneytest.WantRefusal(t, err, "INTERNAL")
		if strings.Contains(string(document), "closing_balance") {
			t.Errorf("it says\n%s", document)
		}
	}
	tamper("-1")
}

func TestAWalletIsShownAsItWas(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "100.00 USD")
	first := mustPay(t, r.as(alice), transfer("1", "12.50 USD", byID(bob)))
	books.Fund(t, alice, "5 JPY")
	mustPay(t, r.as(alice), transfer("2", "1 USD", byID(bob)))
	at := func(when time.Time) string {
		res, err := r.as(alice).GetWallet(t.Context(), &walletv1.GetWalletRequest{AsOfTime: timestamppb.New(when)})
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, b := range res.GetBalances() {
			if b.GetAvailable() != nil || b.GetHeld() != nil || b.GetOwed() != nil {
				t.Errorf("of the past it says %v", b)
			}
			out = append(out, text(b.GetTotal()))
		}
		return strings.Join(out, ", ")
	}
	moment := first.GetCreateTime().AsTime()
	for when, want := range map[time.Time]string{
		moment:                        "87.50 USD",
		moment.Add(-time.Microsecond): "100.00 USD",
		moment.Add(-time.Hour):        "",
		time.Now():                    "5 JPY, 86.50 USD",
	} {
		if got := at(when); got != want {
			t.Errorf("at %v it was %q, want %q", when, got, want)
		}
	}
	_, err := r.as(alice).GetWallet(t.Context(), &walletv1.GetWalletRequest{AsOfTime: &timestamppb.Timestamp{Seconds: 1 << 60}})
	moneytest.WantRefusal(t, err, "INVALID_ARGUMENT")
}
