package merchant_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"

	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// post posts into a merchant's pending account and two others, as sales and refunds
// do: what comes in there, and what is kept.
func post(t testing.TB, books *moneytest.Books, s shop, kind ledger.Kind, net, fee string, asset string) uuid.UUID {
	t.Helper()
	of, err := books.Ledger().Asset(t.Context(), asset)
	if err != nil {
		t.Fatal(err)
	}
	account := func(code string, unbounded bool) ledger.AccountID {
		a, err := books.Ledger().OpenAccount(t.Context(), ledger.AccountSpec{Code: code, Asset: of.ID, Unbounded: unbounded})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	customer, kept := account(money.SandboxAccount(of), true), account("system/fees/"+asset, true)
	pending := account(money.MerchantPending(s.uuid(t), of), false)
	in, err := ledger.ParseDecimal(net, of.Exponent)
	if err != nil {
		t.Fatal(err)
	}
	out, err := ledger.ParseDecimal(fee, of.Exponent)
	if err != nil {
		t.Fatal(err)
	}
	paid, err := in.Add(out)
	if err != nil {
		t.Fatal(err)
	}
	postings := []ledger.Posting{{Account: customer, Amount: paid.Neg()}, {Account: pending, Amount: in}}
	if !out.IsZero() {
		postings = append(postings, ledger.Posting{Account: kept, Amount: out})
	}
	result, err := books.Ledger().Commit(t.Context(), ledger.Command{
		Key: ledger.NewKey("sell", id.New().String()), Fingerprint: ledger.Fingerprint("sell"), Kind: kind,
		Accounts: []ledger.AccountID{customer, pending, kept},
		Decide:   func(ledger.View) (ledger.Draft, error) { return ledger.Draft{Postings: postings}, nil },
	})
	if err != nil {
		t.Fatalf("post %s: %v", net, err)
	}
	return result.Transaction.ID
}

// settlements are all of a merchant's, the newest first, of two a page.
func settlements(t testing.TB, c client, s shop) (all []*merchantv1.Settlement) {
	t.Helper()
	req := &merchantv1.ListSettlementsRequest{MerchantId: s.id, PageSize: 2}
	for {
		res, err := c.ListSettlements(t.Context(), req)
		if err != nil {
			t.Fatalf("list settlements: %v", err)
		}
		all = append(all, res.GetSettlements()...)
		if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
			return all
		}
	}
}

// settlementLines are all lines of a settlement, of two a page.
func settlementLines(t testing.TB, c client, s shop, settlement string) (all []*merchantv1.SettlementLine) {
	t.Helper()
	req := &merchantv1.GetSettlementRequest{MerchantId: s.id, SettlementId: settlement, PageSize: 2}
	for {
		res, err := c.GetSettlement(t.Context(), req)
		if err != nil {
			t.Fatalf("get a settlement: %v", err)
		}
		all = append(all, res.GetLines()...)
		if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
			return all
		}
	}
}

// says is a settlement as one line.
func says(s *merchantv1.Settlement) string {
	return fmt.Sprintf("%d sales %d refunds: %s - %s - %s = %s, tips %s", s.GetSaleCount(), s.GetRefundCount(), s.GetGross().GetAmount(),
		s.GetRefunds().GetAmount(), s.GetFees().GetAmount(), text(s.GetNet()), s.GetTips().GetAmount())
}

// holdings are what a merchant has, as "USD available pending …".
func holdings(t testing.TB, c client, s shop) (line string) {
	t.Helper()
	res, err := c.GetMerchant(t.Context(), &merchantv1.GetMerchantRequest{MerchantId: s.id})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range res.GetBalances() {
		line += fmt.Sprintf("[%s %s + %s]", b.GetAvailable().GetAsset(), b.GetAvailable().GetAmount(), b.GetPending().GetAmount())
	}
	return line
}
