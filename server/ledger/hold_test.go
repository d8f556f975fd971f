package ledger_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	"github.com/tillbook/tillbook/gen/tillbook/ledger/v1/ledgerv1connect"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
	books "github.com/tillbook/tillbook/store/ledger"
)

// holdOf is a request to hold dollars of a user.
func holdOf(key string, u moneytest.User, amount string) *ledgerv1.CreateHoldRequest {
	return &ledgerv1.CreateHoldRequest{IdempotencyKey: key, Account: u.Account("USD"), Amount: usd(amount)}
}

func mustHold(t testing.TB, c ledgerv1connect.LedgerServiceClient, req *ledgerv1.CreateHoldRequest) *ledgerv1.Hold {
	t.Helper()
	res, err := c.CreateHold(t.Context(), req)
	if err != nil {
		t.Fatalf("hold %s: %v", req.GetIdempotencyKey(), err)
	}
	return res.GetHold()
}

func getHold(t testing.TB, c ledgerv1connect.LedgerServiceClient, holdID string) *ledgerv1.Hold {
	t.Helper()
	res, err := c.GetHold(t.Context(), &ledgerv1.GetHoldRequest{HoldId: holdID})
	if err != nil {
		t.Fatal(err)
	}
	return res.GetHold()
}

// captureOf is a request to capture, with credits as post has postings.
func captureOf(key string, hold *ledgerv1.Hold, final bool, credits ...string) *ledgerv1.CaptureHoldRequest {
	return &ledgerv1.CaptureHoldRequest{
		IdempotencyKey: key, HoldId: hold.GetHoldId(), Final: final, Reason: "delivered", Credits: parsePostings(credits...),
	}
}

func mustCapture(t testing.TB, c ledgerv1connect.LedgerServiceClient, req *ledgerv1.CaptureHoldRequest) *ledgerv1.CaptureHoldResponse {
	t.Helper()
	res, err := c.CaptureHold(t.Context(), req)
	if err != nil {
		t.Fatalf("capture %s: %v", req.GetIdempotencyKey(), err)
	}
	return res
}

// sum says what a hold is in one line.
func sum(h *ledgerv1.Hold) string {
	return fmt.Sprintf("%s of %s captured, %s remains, %s", h.GetCaptured().GetAmount(), h.GetAmount().GetAmount(),
		h.GetRemaining().GetAmount(), strings.TrimPrefix(h.GetState().String(), "HOLD_STATE_"))
}

func wantSum(t testing.TB, h *ledgerv1.Hold, want string) {
	t.Helper()
	if got := sum(h); got != want {
		t.Errorf("the hold is: %s; want: %s", got, want)
	}
	if closed := h.GetCloseTime() != nil; closed == (h.GetState() == ledgerv1.HoldState_HOLD_STATE_OPEN) {
		t.Errorf("the hold is %v and has close time %v", h.GetState(), h.GetCloseTime())
	}
}

// wantAvailable fails the test unless an account has this balance and so much of
// it is available.
func wantAvailable(t testing.TB, c ledgerv1connect.LedgerServiceClient, code, balance, available string) {
	t.Helper()
	res, err := c.GetAccount(t.Context(), &ledgerv1.GetAccountRequest{Code: code})
	if err != nil {
		t.Fatal(err)
	}
	a := res.GetAccount()
	if a.GetBalance().GetAmount() != balance || a.GetAvailable().GetAmount() != available {
		t.Errorf("%s has %s with %s available; want %s with %s", code,
			a.GetBalance().GetAmount(), a.GetAvailable().GetAmount(), balance, available)
	}
}

func TestAHoldIsCreatedIncreasedCapturedInPartsAndClosed(t *testing.T) {
	books := moneytest.New(t)
	operator := newOperator()
	c := serve(t, books).as(operator)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "100.00 USD")
	books.Fund(t, bob, "1.00 USD")
	a, b := alice.Account("USD"), bob.Account("USD")

	req := holdOf("h", alice, "40.00")
	req.Reference, req.ExcessBasisPoints = "order 7", 1000
	hold := mustHold(t, c, req)
	wantSum(t, hold, "0.00 of 40.00 captured, 40.00 remains, OPEN")
	if hold.GetAccount() != a || hold.GetReference() != "order 7" || hold.GetExcessBasisPoints() != 1000 {
		t.Errorf("the hold is %v", hold)
	}
	life := hold.GetExpireTime().AsTime().Sub(hold.GetCreateTime().AsTime())
	if life < 7*24*time.Hour-time.Minute || life > 7*24*time.Hour+time.Minute {
		t.Errorf("the hold lasts %v, want seven days", life)
	}
	wantAvailable(t, c, a, "100.00", "60.00")

	more, err := c.IncreaseHold(t.Context(), &ledgerv1.IncreaseHoldRequest{IdempotencyKey: "i", HoldId: hold.GetHoldId(), Amount: usd("10")})
	if err != nil {
		t.Fatal(err)
	}
	wantSum(t, more.GetHold(), "0.00 of 50.00 captured, 50.00 remains, OPEN")
	wantAvailable(t, c, a, "100.00", "50.00")

	first := mustCapture(t, c, captureOf("c1", hold, false, b+" 18 USD", "system/fees/USD 2 USD"))
	wantSum(t, first.GetHold(), "20.00 of 50.00 captured, 30.00 remains, OPEN")
	want := []string{a + " -20.00 USD after 80.00", b + " 18.00 USD after 19.00", "system/fees/USD 2.00 USD after 2.00"}
	if got := lines(first.GetTransaction().GetEntries()); !slices.Equal(got, want) {
		t.Errorf("the capture's entries are\n%q, want\n%q", got, want)
	}
	if txn := first.GetTransaction(); txn.GetKind() != "capture" || txn.GetNote() != "delivered" {
		t.Errorf("the capture is %v", txn)
	}
	wantOperator(t, books, first.GetTransaction().GetTransactionId(), id.Format(id.Operator, operator.Operator))
	wantAvailable(t, c, a, "80.00", "50.00")

	// The excess is a tenth of 50.00, so 35.00 can still be captured.
	last := mustCapture(t, c, captureOf("c2", hold, true, b+" 34.50 USD"))
	wantSum(t, last.GetHold(), "54.50 of 50.00 captured, 0.00 remains, CAPTURED")
	wantAvailable(t, c, a, "45.50", "45.50")
	if read := getHold(t, c, hold.GetHoldId()); !proto.Equal(read, last.GetHold()) {
		t.Errorf("it reads as %v, want %v", read, last.GetHold())
	}
}

func TestAFinalCaptureAndAVoidGiveBackWhatRemains(t *testing.T) {
	books := moneytest.New(t)
	c := serve(t, books).as(newOperator())
	alice := books.User(t, "alice")
	books.Fund(t, alice, "10.00 USD")
	a := alice.Account("USD")

	hold := mustHold(t, c, holdOf("h1", alice, "6"))
	done := mustCapture(t, c, captureOf("c", hold, true, "external/shop/USD 2 USD"))
	wantSum(t, done.GetHold(), "2.00 of 6.00 captured, 0.00 remains, CAPTURED")
	wantAvailable(t, c, a, "8.00", "8.00")

	hold = mustHold(t, c, holdOf("h2", alice, "8"))
	wantAvailable(t, c, a, "8.00", "0.00")
	mustCapture(t, c, captureOf("c2", hold, false, "external/shop/USD 3 USD"))
	res, err := c.VoidHold(t.Context(), &ledgerv1.VoidHoldRequest{IdempotencyKey: "v", HoldId: hold.GetHoldId()})
	if err != nil {
		t.Fatal(err)
	}
	wantSum(t, res.GetHold(), "3.00 of 8.00 captured, 0.00 remains, VOIDED")
	wantAvailable(t, c, a, "5.00", "5.00")

	// A capture of all that there is closes it, even if nobody calls it final.
	hold = mustHold(t, c, holdOf("h3", alice, "1"))
	wantSum(t, mustCapture(t, c, captureOf("c3", hold, false, "external/shop/USD 1 USD")).GetHold(),
		"1.00 of 1.00 captured, 0.00 remains, CAPTURED")
}

func TestAHoldThatExpiresGivesBackAndRefusesWithItsOwnReason(t *testing.T) {
	books := moneytest.New(t)
	c := serve(t, books).as(newOperator())
	alice := books.User(t, "alice")
	books.Fund(t, alice, "10.00 USD")
	req := holdOf("h", alice, "4")
	req.ExpireTime = timestamppb.New(time.Now().Add(1500 * time.Millisecond))
	hold := mustHold(t, c, req)
	mustCapture(t, c, captureOf("c", hold, false, "external/shop/USD 1 USD"))
	time.Sleep(time.Until(hold.GetExpireTime().AsTime()) + 10*time.Millisecond)

	// At once, whether or not anybody has noticed.
	_, err := c.CaptureHold(t.Context(), captureOf("late", hold, false, "external/shop/USD 1 USD"))
	moneytest.WantNothingMoved(t, err, "HOLD_EXPIRED")
	_, err = c.IncreaseHold(t.Context(), &ledgerv1.IncreaseHoldRequest{IdempotencyKey: "i", HoldId: hold.GetHoldId(), Amount: usd("1")})
	moneytest.WantNothingMoved(t, err, "HOLD_EXPIRED")
	_, err = c.VoidHold(t.Context(), &ledgerv1.VoidHoldRequest{IdempotencyKey: "v", HoldId: hold.GetHoldId()})
	moneytest.WantNothingMoved(t, err, "HOLD_EXPIRED")

	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if hold = getHold(t, c, hold.GetHoldId()); hold.GetState() == ledgerv1.HoldState_HOLD_STATE_EXPIRED {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the hold never expires: %v", hold)
		}
	}
	wantSum(t, hold, "1.00 of 4.00 captured, 0.00 remains, EXPIRED")
	wantAvailable(t, c, alice.Account("USD"), "9.00", "9.00")
	// What was executed before is still told.
	mustCapture(t, c, captureOf("c", hold, false, "external/shop/USD 1 USD"))
	mustHold(t, c, req)
}

func TestHoldsAreRefusedWithTheirExactReasons(t *testing.T) {
	books := moneytest.New(t)
	c := serve(t, books).as(newOperator())
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "10.00 USD")
	mustPost(t, c, post("open", "r", "external/x/USD -5 USD", "system/x/USD 5 USD"))

	at := func(after time.Duration) func(*ledgerv1.CreateHoldRequest) {
		return func(r *ledgerv1.CreateHoldRequest) { r.ExpireTime = timestamppb.New(time.Now().Add(after)) }
	}
	cases := map[string]struct {
		change        func(*ledgerv1.CreateHoldRequest)
		reason, field string
	}{
		"more than there is":    {func(r *ledgerv1.CreateHoldRequest) { r.Amount = usd("10.01") }, "INSUFFICIENT_FUNDS", ""},
		"nothing":               {func(r *ledgerv1.CreateHoldRequest) { r.Amount = usd("0") }, "AMOUNT_NOT_POSITIVE", "amount.amount"},
		"less than nothing":     {func(r *ledgerv1.CreateHoldRequest) { r.Amount = usd("-1") }, "AMOUNT_NOT_POSITIVE", "amount.amount"},
		"too many decimals":     {func(r *ledgerv1.CreateHoldRequest) { r.Amount = usd("1.001") }, "AMOUNT_TOO_PRECISE", "amount.amount"},
		"another asset":         {func(r *ledgerv1.CreateHoldRequest) { r.Amount.Asset = "EUR" }, "ACCOUNT_ASSET_MISMATCH", "amount.asset"},
		"an unknown asset":      {func(r *ledgerv1.CreateHoldRequest) { r.Amount.Asset = "XYZ" }, "ASSET_NOT_FOUND", "amount.asset"},
		"an unknown account":    {func(r *ledgerv1.CreateHoldRequest) { r.Account = bob.Account("USD") }, "ACCOUNT_NOT_FOUND", "account"},
		"an account no floor":   {func(r *ledgerv1.CreateHoldRequest) { r.Account = "system/x/USD" }, "ACCOUNT_UNBOUNDED", ""},
		"an expiry that passed": {at(-time.Second), "EXPIRE_TIME_INVALID", ""},
		"an endless hold":       {at(367 * 24 * time.Hour), "EXPIRE_TIME_INVALID", ""},
		"no key":                {func(r *ledgerv1.CreateHoldRequest) { r.IdempotencyKey = "" }, "INVALID_ARGUMENT", "idempotency_key"},
		"too much excess":       {func(r *ledgerv1.CreateHoldRequest) { r.ExcessBasisPoints = 10_001 }, "INVALID_ARGUMENT", "excess_basis_points"},
		"a reference of lines":  {func(r *ledgerv1.CreateHoldRequest) { r.Reference = "a\nb" }, "INVALID_ARGUMENT", "reference"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			req := holdOf("k", alice, "1")
			tc.change(req)
			_, err := c.CreateHold(t.Context(), req)
			if got := moneytest.WantNothingMoved(t, err, tc.reason); got.Field != tc.field {
				t.Errorf("the error names field %q, want %q", got.Field, tc.field)
			}
		})
	}
	wantAvailable(t, c, alice.Account("USD"), "10.00", "10.00")
}

func TestCapturesAreRefusedWithTheirExactReasons(t *testing.T) {
	books := moneytest.New(t)
	c := serve(t, books).as(newOperator())
	alice := books.User(t, "alice")
	books.Fund(t, alice, "10.00 USD")
	tipped := holdOf("h", alice, "5")
	tipped.ExcessBasisPoints = 2000
	hold := mustHold(t, c, tipped)
	voided := mustHold(t, c, holdOf("h2", alice, "1"))
	if _, err := c.VoidHold(t.Context(), &ledgerv1.VoidHoldRequest{IdempotencyKey: "v", HoldId: voided.GetHoldId()}); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		req           *ledgerv1.CaptureHoldRequest
		reason, field string
	}{
		"beyond the excess":    {captureOf("k", hold, false, "external/s/USD 6.01 USD"), "HOLD_EXCEEDED", ""},
		"by two beyond it":     {captureOf("k", hold, false, "external/s/USD 6 USD", "external/u/USD 0.01 USD"), "HOLD_EXCEEDED", ""},
		"nothing":              {captureOf("k", hold, false, "external/s/USD 0 USD"), "INVALID_ARGUMENT", "credits[0].amount.amount"},
		"less than nothing":    {captureOf("k", hold, false, "external/s/USD 2 USD", "external/u/USD -1 USD"), "AMOUNT_NOT_POSITIVE", "credits[1].amount.amount"},
		"another asset":        {captureOf("k", hold, false, "external/s/EUR 1 EUR"), "ACCOUNT_ASSET_MISMATCH", "credits[0].amount.asset"},
		"an account of others": {captureOf("k", hold, false, "user/x/main/USD 1 USD"), "ACCOUNT_NOT_FOUND", "credits[0].account"},
		"into itself":          {captureOf("k", hold, false, alice.Account("USD")+" 1 USD"), "INVALID_ARGUMENT", "credits[0].account"},
		"into one twice":       {captureOf("k", hold, false, "external/s/USD 1 USD", "external/s/USD 1 USD"), "INVALID_ARGUMENT", "credits[1].account"},
		"into none":            {captureOf("k", hold, false), "INVALID_ARGUMENT", "credits"},
		"of a voided hold":     {captureOf("k", voided, false, "external/s/USD 1 USD"), "HOLD_CLOSED", ""},
		"of no hold": {captureOf("k", &ledgerv1.Hold{HoldId: id.Format(id.Hold, id.New())}, false, "external/s/USD 1 USD"),
			"NOT_FOUND", ""},
		"of something else": {captureOf("k", &ledgerv1.Hold{HoldId: "txn_1"}, false, "external/s/USD 1 USD"), "INVALID_ARGUMENT", "hold_id"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := c.CaptureHold(t.Context(), tc.req)
			if got := moneytest.WantNothingMoved(t, err, tc.reason); got.Field != tc.field {
				t.Errorf("the error names field %q, want %q", got.Field, tc.field)
			}
		})
	}
	_, err := c.IncreaseHold(t.Context(), &ledgerv1.IncreaseHoldRequest{IdempotencyKey: "k", HoldId: hold.GetHoldId(), Amount: usd("5.01")})
	moneytest.WantNothingMoved(t, err, "INSUFFICIENT_FUNDS")
	_, err = c.IncreaseHold(t.Context(), &ledgerv1.IncreaseHoldRequest{IdempotencyKey: "k", HoldId: voided.GetHoldId(), Amount: usd("1")})
	moneytest.WantNothingMoved(t, err, "HOLD_CLOSED")
	_, err = c.VoidHold(t.Context(), &ledgerv1.VoidHoldRequest{IdempotencyKey: "k", HoldId: voided.GetHoldId()})
	moneytest.WantNothingMoved(t, err, "HOLD_CLOSED")
	_, err = c.GetHold(t.Context(), &ledgerv1.GetHoldRequest{HoldId: id.Format(id.Hold, id.New())})
	moneytest.WantRefusal(t, err, "NOT_FOUND")

	// The excess is there only as far as there are funds.
	mustPost(t, c, post("spend", "r", alice.Account("USD")+" -5 USD", "external/s/USD 5 USD"))
	_, err = c.CaptureHold(t.Context(), captureOf("k", hold, false, "external/s/USD 5.01 USD"))
	moneytest.WantNothingMoved(t, err, "INSUFFICIENT_FUNDS")
	wantSum(t, getHold(t, c, hold.GetHoldId()), "0.00 of 5.00 captured, 5.00 remains, OPEN")
}

func TestALimitThatAHoldPassesIsNamed(t *testing.T) {
	ledger := moneytest.New(t)
	r := serve(t, ledger)
	c := r.as(newOperator())
	alice := ledger.User(t, "alice")
	ledger.Fund(t, alice, "100.00 USD")
	dollars, err := r.Ledger.Asset(t.Context(), "USD")
	if err != nil {
		t.Fatal(err)
	}
	var rule books.Rule
	err = r.Store.InTx(t.Context(), func(ctx context.Context, _ *store.Queries, tx pgx.Tx) error {
		_, rule, err = books.SetRule(ctx, tx, books.Rule{
			Scope: books.ScopeEveryone, Asset: dollars.ID, Measure: books.MeasureAmount, Direction: books.Outgoing,
			Period: books.PerDay, Zone: "UTC", Maximum: books.NewAmount(5000),
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	hold := mustHold(t, c, holdOf("h", alice, "30"))
	_, err = c.CreateHold(t.Context(), holdOf("h2", alice, "20.01"))
	got := moneytest.WantNothingMoved(t, err, "LIMIT_EXCEEDED").Metadata
	midnight := time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour).Format(time.RFC3339)
	for key, want := range map[string]string{
		"limit_id": id.Format(id.Limit, rule.ID), "measure": "amount", "direction": "outgoing", "period": "day", "asset": "USD",
		"maximum": "50.00", "used": "30.00", "remaining": "20.00", "reset_time": midnight, "scope": "everyone",
	} {
		if got[key] != want {
			t.Errorf("metadata %s is %q, want %q", key, got[key], want)
		}
	}
	_, err = c.IncreaseHold(t.Context(), &ledgerv1.IncreaseHoldRequest{IdempotencyKey: "i", HoldId: hold.GetHoldId(), Amount: usd("20.01")})
	moneytest.WantNothingMoved(t, err, "LIMIT_EXCEEDED")
	// It counted when it was held: capturing it isn't refused, and voiding the rest
	// gives the rest back.
	mustCapture(t, c, captureOf("c", hold, true, "external/shop/USD 10 USD"))
	mustHold(t, c, holdOf("h3", alice, "40"))
}

func TestHoldsAreListedNewestFirstByStateOnPagesOfAnySize(t *testing.T) {
	books := moneytest.New(t)
	c := serve(t, books).as(newOperator())
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "10.00 USD")
	books.Fund(t, bob, "10.00 USD")
	var all, open []string
	for i := range 7 {
		hold := mustHold(t, c, holdOf(fmt.Sprint("h", i), alice, "1"))
		mustHold(t, c, holdOf(fmt.Sprint("bob", i), bob, "1"))
		all = slices.Insert(all, 0, hold.GetHoldId())
		if i%2 == 0 {
			open = slices.Insert(open, 0, hold.GetHoldId())
			continue
		}
		if _, err := c.VoidHold(t.Context(), &ledgerv1.VoidHoldRequest{IdempotencyKey: fmt.Sprint("v", i), HoldId: hold.GetHoldId()}); err != nil {
			t.Fatal(err)
		}
	}
	list := func(state ledgerv1.HoldState, size int32) (ids []string) {
		req := &ledgerv1.ListHoldsRequest{Account: alice.Account("USD"), State: state, PageSize: size}
		for {
			page, err := c.ListHolds(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range page.GetHolds() {
				ids = append(ids, h.GetHoldId())
			}
			if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
				return ids
			}
		}
	}
	for size := range int32(9) {
		if got := list(ledgerv1.HoldState_HOLD_STATE_UNSPECIFIED, size); !slices.Equal(got, all) {
			t.Errorf("pages of %d list %q, want %q", size, got, all)
		}
		if got := list(ledgerv1.HoldState_HOLD_STATE_OPEN, size); !slices.Equal(got, open) {
			t.Errorf("pages of %d list as open %q, want %q", size, got, open)
		}
	}
	if got := list(ledgerv1.HoldState_HOLD_STATE_EXPIRED, 0); len(got) != 0 {
		t.Errorf("expired are %q", got)
	}
	page, err := c.ListHolds(t.Context(), &ledgerv1.ListHoldsRequest{Account: alice.Account("USD"), PageSize: 2})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.ListHolds(t.Context(), &ledgerv1.ListHoldsRequest{Account: bob.Account("USD"), PageToken: page.GetNextPageToken()})
	moneytest.WantRefusal(t, err, "PAGE_TOKEN_INVALID")
	_, err = c.ListHolds(t.Context(), &ledgerv1.ListHoldsRequest{Account: "user/x/main/USD"})
	moneytest.WantRefusal(t, err, "ACCOUNT_NOT_FOUND")
}
