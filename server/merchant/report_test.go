package merchant_test

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/store/id"
)

func report(t testing.TB, c client, s shop, date, storeID string) (*merchantv1.GetDayReportResponse, error) {
	t.Helper()
	return c.GetDayReport(t.Context(), &merchantv1.GetDayReportRequest{MerchantId: s.id, Date: date, StoreId: storeID})
}

// today is the day that it is in Jakarta.
func today() string { return time.Now().In(time.FixedZone("WIB", 7*3600)).Format("2006-01-02") }

func export(t testing.TB, c client, s shop, date string) (string, error) {
	t.Helper()
	stream, err := c.ExportDayReport(t.Context(), &merchantv1.ExportDayReportRequest{MerchantId: s.id, Date: date})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	var doc strings.Builder
	for {
		msg, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			return doc.String(), nil
		}
		if err != nil {
			return doc.String(), err
		}
		doc.Write(msg.GetData())
	}
}

func sum(list ...*merchantv1.Totals) (line string) {
	for _, x := range list {
		line += fmt.Sprintf("[%d: %s (%s) - %s - %s = %s]", x.GetCount(), x.GetGross().GetAmount(), x.GetTips().GetAmount(),
			x.GetRefunds().GetAmount(), x.GetFees().GetAmount(), text(x.GetNet()))
	}
	return line
}

func TestADayIsSummedUpPerCornerAndAsset(t *testing.T) {
	books := moneytest.New(t)
	here, there := serve(t, books), serve(t, books)
	if _, err := here.asOperator().SetFeePlan(t.Context(), plan("standard", feeRate(1000, "0.10 USD"))); err != nil {
		t.Fatal(err)
	}
	s := open(t, books, here, "batavia")
	menteng := s
	menteng.store = mustAddStore(t, here.as(s.owner), s.id, "Menteng").GetStoreId()
	terminal := addTerminal(t, books, s, s.store)
	alice := books.User(t, "alice")
	books.Fund(t, alice, "100.00 USD")
	books.Fund(t, alice, "100000 JPY")
	shift := mustOpenShift(t, here.as(s.cashier), "counter", s, "")
	atTerminal := mustOpenShift(t, here.as(s.manager), "terminal", s, terminal)

	first := sale("1", s, "10 USD")
	first.Reference = `=HYPERLINK("http://evil.example","x")`
	a := mustSell(t, here.as(s.cashier), first)
	pay(t, here, alice, a, "1 USD")
	pay(t, there, alice, mustSell(t, here.as(s.cashier), sale("2", s, "500 JPY")), "")
	b := sale("3", s, "4 USD")
	b.TerminalId = terminal
	pay(t, there, alice, mustSell(t, here.as(s.cashier), b), "")
	pay(t, there, alice, mustSell(t, here.as(s.manager), sale("4", menteng, "2 USD")), "")
	mustSell(t, here.as(s.manager), sale("5", menteng, "99 USD")) // unpaid
	here.settle(t)
	if _, err := refund(t, there.as(s.owner), "r", s, a, "3.50 USD"); err != nil {
		t.Fatal(err)
	}

	got, err := report(t, there.as(s.manager), s, today(), "")
	if err != nil {
		t.Fatal(err)
	}
	if want := "[1: 500 (0) - 0 - 0 = 500 JPY][3: 17.00 (1.00) - 3.50 - 2.00 = 11.50 USD]"; sum(got.GetTotals()...) != want {
		t.Errorf("the day is %s, want %s", sum(got.GetTotals()...), want)
	}
	lines := map[string]string{}
	for _, l := range got.GetLines() {
		lines[fmt.Sprintf("%v %v %v %s", l.GetStoreId() == s.store, l.GetTerminalId() == terminal, l.GetUserId() == s.cashier.Name, l.GetTotals().GetNet().GetAsset())] = sum(l.GetTotals())
	}
	for corner, want := range map[string]string{
		"true false true USD":   "[1: 11.00 (1.00) - 3.50 - 1.20 = 6.30 USD]",
		"true false true JPY":   "[1: 500 (0) - 0 - 0 = 500 JPY]",
		"true true true USD":    "[1: 4.00 (0.00) - 0.00 - 0.50 = 3.50 USD]",
		"false false false USD": "[1: 2.00 (0.00) - 0.00 - 0.30 = 1.70 USD]",
	} {
		if lines[corner] != want {
			t.Errorf("%s is %s, want %s", corner, lines[corner], want)
		}
	}
	if len(lines) != 4 || got.GetEndTime().AsTime().Sub(got.GetStartTime().AsTime()) != 24*time.Hour {
		t.Errorf("the report is %v", got)
	}
	one, err := report(t, there.as(s.manager), s, today(), menteng.store)
	if err != nil || sum(one.GetTotals()...) != "[1: 2.00 (0.00) - 0.00 - 0.30 = 1.70 USD]" {
		t.Errorf("one store's is %v, %v", one, err)
	}
	before, err := report(t, there.as(s.manager), s, "2026-01-01", "")
	if err != nil || len(before.GetTotals())+len(before.GetLines()) != 0 {
		t.Errorf("another day's is %v, %v", before, err)
	}

	// Shifts have the same sales: the counter's without terminal, the terminal's.
	closed, err := closeShift(t, here.as(s.cashier), s, shift.GetShiftId())
	if err != nil || sum(closed.GetTotals()...) != "[1: 500 (0) - 0 - 0 = 500 JPY][1: 11.00 (1.00) - 3.50 - 1.20 = 6.30 USD]" {
		t.Errorf("the counter's shift is %v, %v", closed, err)
	}
	pay(t, there, alice, mustSell(t, here.as(s.cashier), sale("late", s, "1 USD")), "")
	for _, x := range shifts(t, there.as(s.owner), s) {
		want := sum(closed.GetTotals()...)
		if x.GetShiftId() == atTerminal.GetShiftId() {
			want = "[1: 4.00 (0.00) - 0.00 - 0.50 = 3.50 USD]"
		}
		if sum(x.GetTotals()...) != want {
			t.Errorf("a shift is %s, want %s", sum(x.GetTotals()...), want)
		}
	}
}

func TestADayIsExportedAsCSVThatRunsNothing(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	s := open(t, books, r, "batavia")
	alice := books.User(t, "alice")
	books.Fund(t, alice, "1000.00 USD")
	first := sale("1", s, "10 USD")
	first.Reference = `=1+1, "x"`
	a := mustSell(t, r.as(s.cashier), first)
	pay(t, r, alice, a, "1 USD")
	if _, err := refund(t, r.as(s.owner), "r", s, a, "3.50 USD"); err != nil {
		t.Fatal(err)
	}
	doc, err := export(t, r.as(s.manager), s, today())
	if err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(strings.NewReader(doc)).ReadAll()
	if err != nil || len(records) != 3 || strings.Count(doc, "\r\n") != 3 {
		t.Fatalf("the document is %q, %v", doc, err)
	}
	column := map[string]int{}
	for i, name := range records[0] {
		column[name] = i
	}
	for i, want := range []map[string]string{
		{"type": "sale", "gross": "11.00", "tip": "1.00", "refund": "0.00", "fee": "0.00", "net": "11.00"},
		{"type": "refund", "gross": "0.00", "tip": "0.00", "refund": "3.50", "fee": "0.00", "net": "-3.50"},
	} {
		got := records[i+1]
		want["checkout_id"], want["store_id"], want["user_id"], want["asset"] = a.GetCheckoutId(), s.store, s.cashier.Name, "USD"
		want["reference"], want["terminal_id"] = `'=1+1, "x"`, ""
		for name, value := range want {
			if got[column[name]] != value {
				t.Errorf("record %d has %s %q, want %q", i, name, got[column[name]], value)
			}
		}
		if !strings.HasSuffix(got[column["time"]], "+07:00") {
			t.Errorf("record %d has time %s", i, got[column["time"]])
		}
	}
	for range 20 {
		if _, err = export(t, r.as(s.manager), s, today()); err != nil {
			break
		}
	}
	moneytest.WantRefusal(t, err, "RATE_LIMITED")
}

func TestReportsThatCannotBeAreRefused(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	s, other := open(t, books, r, "batavia"), open(t, books, r, "bogor")
	for name, tt := range map[string]struct {
		as          moneytest.User
		date, store string
		reason      string
	}{
		"no such day":     {s.owner, "2026-02-30", "", "DATE_INVALID"},
		"long ago":        {s.owner, "1999-01-01", "", "DATE_INVALID"},
		"far ahead":       {s.owner, "2999-01-01", "", "DATE_INVALID"},
		"no day":          {s.owner, "yesterday", "", "INVALID_ARGUMENT"},
		"a cashier":       {s.cashier, today(), "", "PERMISSION_DENIED"},
		"a stranger":      {other.owner, today(), "", "NOT_FOUND"},
		"another's store": {s.owner, today(), other.store, "NOT_FOUND"},
		"no store":        {s.owner, today(), id.Format(id.Store, id.New()), "NOT_FOUND"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := report(t, r.as(tt.as), s, tt.date, tt.store)
			moneytest.WantRefusal(t, err, tt.reason)
			if tt.store == "" {
				_, err = export(t, r.as(tt.as), s, tt.date)
				moneytest.WantRefusal(t, err, tt.reason)
			}
		})
	}
}
