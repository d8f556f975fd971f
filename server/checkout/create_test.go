package checkout_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	"github.com/tillbook/tillbook/server/checkout"
	"github.com/tillbook/tillbook/server/checkout/checkouttest"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/id"
)

func items(lines ...*checkoutv1.CheckoutItem) []*checkoutv1.CheckoutItem { return lines }

func line(name string, quantity uint32, price string) *checkoutv1.CheckoutItem {
	return &checkoutv1.CheckoutItem{Name: name, Quantity: quantity, UnitPrice: amount(price)}
}

func TestACheckoutShowsWhatItWasMadeOf(t *testing.T) {
	w := newWorld(t)
	d := w.draft("12.50 USD")
	d.Reference = "table 7"
	d.Items = items(line("Kopi", 2, "3.25 USD"), line("Nasi", 1, "6.00 USD"), line("Water", 3, "0.00 USD"))
	d.TipOptions.Percentages = []uint32{5, 10, 15}
	m := w.message(w.create(d), checkout.ForCustomer(w.customer.ID))
	if m.GetMerchantName() != "Warung Kopi" || m.GetStoreName() != "Jalan Sabang" || m.GetReference() != "table 7" ||
		m.GetTerminalId() != id.Format(id.Terminal, w.shop.Terminal) || m.GetStoreId() != id.Format(id.Store, w.shop.Store) {
		t.Errorf("the checkout says %v", m)
	}
	if m.GetAmount().GetAmount() != "12.50" || len(m.GetItems()) != 3 || m.GetItems()[0].GetUnitPrice().GetAmount() != "3.25" ||
		m.GetItems()[0].GetQuantity() != 2 || len(m.GetTipOptions().GetPercentages()) != 3 || !m.GetTipOptions().GetAllowed() {
		t.Errorf("the checkout says %v", m)
	}
	if m.GetState() != checkout.Created || m.GetCapture() != checkoutv1.CaptureMode_CAPTURE_MODE_AUTOMATIC || m.GetQrText() == "" ||
		m.GetPayment() != nil || m.GetCloseTime() != nil || len(m.GetCode()) != 12 {
		t.Errorf("the checkout says %v", m)
	}
	if life := m.GetExpireTime().AsTime().Sub(m.GetCreateTime().AsTime()); life < 14*time.Minute || life > 15*time.Minute {
		t.Errorf("it lives for %v, want 15 minutes", life)
	}
}

func TestACheckoutIsMadeOnceForAKey(t *testing.T) {
	w := newWorld(t)
	d := w.draft("10.00 USD")
	made := make([]uuid.UUID, 20)
	together(len(made), func(i int) {
		mine := *d
		c, err := w.desks[i%2].Create(t.Context(), &mine)
		if err != nil {
			t.Error(err)
			return
		}
		made[i] = c.ID
	})
	for _, one := range made {
		if one != made[0] {
			t.Fatalf("one key made %v and %v", made[0], one)
		}
	}
	w.wantEvents(&checkout.Checkout{ID: made[0]}, "created")
	for _, change := range []func(*checkout.Draft){
		func(d *checkout.Draft) { d.Amount = amount("10.01 USD") },
		func(d *checkout.Draft) { d.Amount = amount("10.00 EUR") },
		func(d *checkout.Draft) { d.Reference = "other" },
		func(d *checkout.Draft) { d.TipOptions = nil },
		func(d *checkout.Draft) { d.Capture = checkoutv1.CaptureMode_CAPTURE_MODE_MANUAL },
		func(d *checkout.Draft) { d.ExpireTime = timestamppb.New(time.Now().Add(time.Hour)) },
		func(d *checkout.Draft) { d.Items = items(line("Kopi", 1, "10.00 USD")) },
		func(d *checkout.Draft) { d.Terminal, d.Store = uuid.Nil, w.shop.Store },
	} {
		other := *d
		change(&other)
		_, err := w.desks[0].Create(t.Context(), &other)
		w.wantReason(err, "IDEMPOTENCY_KEY_REUSED")
	}
	// A terminal's keys are not a user's.
	other := *d
	other.By = checkout.Caller{Terminal: w.shop.Terminal}
	if c := w.create(&other); c.ID == made[0] {
		t.Error("a terminal's key is a user's")
	}
}

func TestWhatMakesNoCheckoutIsRefusedByName(t *testing.T) {
	w := newWorld(t)
	other := checkouttest.Open(t, w.store, w.customer.ID)
	cases := map[string]struct {
		change func(*checkout.Draft)
		reason string
	}{
		"nothing to pay":        {func(d *checkout.Draft) { d.Amount = amount("0 USD") }, "AMOUNT_NOT_POSITIVE"},
		"too precise":           {func(d *checkout.Draft) { d.Amount = amount("1.001 USD") }, "AMOUNT_TOO_PRECISE"},
		"no such asset":         {func(d *checkout.Draft) { d.Amount = amount("1 XXX") }, "ASSET_NOT_FOUND"},
		"too much":              {func(d *checkout.Draft) { d.Amount = amount("1000000000000000000000000000000000000 USD") }, "AMOUNT_OUT_OF_RANGE"},
		"items of less":         {func(d *checkout.Draft) { d.Items = items(line("a", 3, "3.33 USD")) }, "ITEMS_MISMATCH"},
		"items of more":         {func(d *checkout.Draft) { d.Items = items(line("a", 3, "3.34 USD")) }, "ITEMS_MISMATCH"},
		"items of another kind": {func(d *checkout.Draft) { d.Items = items(line("a", 1, "10.00 EUR")) }, "ITEMS_MISMATCH"},
		"a negative item":       {func(d *checkout.Draft) { d.Items = items(line("a", 1, "11.00 USD"), line("b", 1, "-1.00 USD")) }, "ITEMS_MISMATCH"},
		"items beyond numbers": {func(d *checkout.Draft) {
			d.Items = items(line("a", 10_000, "999999999999999999999999999999999999.00 USD"))
		}, "ITEMS_MISMATCH"},
		"expired":            {func(d *checkout.Draft) { d.ExpireTime = timestamppb.New(time.Now().Add(-time.Second)) }, "EXPIRE_TIME_INVALID"},
		"too long":           {func(d *checkout.Draft) { d.ExpireTime = timestamppb.New(time.Now().Add(24*time.Hour + time.Minute)) }, "EXPIRE_TIME_INVALID"},
		"no time":            {func(d *checkout.Draft) { d.ExpireTime = &timestamppb.Timestamp{Nanos: -1} }, "EXPIRE_TIME_INVALID"},
		"nowhere":            {func(d *checkout.Draft) { d.Terminal = uuid.Nil }, "INVALID_ARGUMENT"},
		"another's terminal": {func(d *checkout.Draft) { d.Terminal = other.Terminal }, "NOT_FOUND"},
		"another's store":    {func(d *checkout.Draft) { d.Store = other.Store }, "NOT_FOUND"},
		"only its store":     {func(d *checkout.Draft) { d.Store, d.Terminal = other.Store, uuid.Nil }, "NOT_FOUND"},
		"another merchant":   {func(d *checkout.Draft) { d.Merchant = other.Merchant }, "NOT_FOUND"},
		"unordered tips":     {func(d *checkout.Draft) { d.TipOptions.Percentages = []uint32{10, 5} }, "INVALID_ARGUMENT"},
	}
	for what, c := range cases {
		t.Run(what, func(t *testing.T) {
			d := w.draft("10.00 USD")
			c.change(d)
			_, err := w.desks[0].Create(t.Context(), d)
			if got := rpc.ReasonName(rpc.ReasonOf(err)); err == nil || got != c.reason {
				t.Errorf("got %s (%v), want %s", got, err, c.reason)
			}
		})
	}
}

func TestSoManyCheckoutsCanBeOpenAtATerminal(t *testing.T) {
	w := newWorld(t)
	var first *checkout.Checkout
	for i := range 20 {
		c := w.sell("1.00 USD")
		if i == 0 {
			first = c
		}
	}
	last := w.draft("1.00 USD")
	_, err := w.desks[0].Create(t.Context(), last)
	w.wantReason(err, "TOO_MANY_CHECKOUTS")
	elsewhere := w.draft("1.00 USD")
	elsewhere.Terminal, elsewhere.Store = uuid.Nil, w.shop.Store
	w.create(elsewhere)
	w.pay(first)
	w.create(last)
}

func TestCheckoutsAreFoundOnlyWhereTheyBelong(t *testing.T) {
	w := newWorld(t)
	other := checkouttest.Open(t, w.store, w.customer.ID)
	c := w.sell("1.00 USD")
	for _, in := range []checkout.Scope{
		{}, {Merchant: w.shop.Merchant}, {Terminal: w.shop.Terminal}, {Merchant: w.shop.Merchant, Terminal: w.shop.Terminal},
	} {
		if got, err := w.desks[1].Get(t.Context(), in, name(c)); err != nil || got.ID != c.ID {
			t.Errorf("in %v there is %v, %v", in, got, err)
		}
	}
	for _, in := range []checkout.Scope{
		{Merchant: other.Merchant}, {Terminal: other.Terminal}, {Merchant: w.shop.Merchant, Terminal: other.Terminal},
	} {
		_, err := w.desks[1].Get(t.Context(), in, name(c))
		w.wantReason(err, "NOT_FOUND")
		_, err = w.desks[1].Cancel(t.Context(), in, name(c))
		w.wantReason(err, "NOT_FOUND")
	}
	_, err := w.desks[0].Get(t.Context(), checkout.Scope{}, "chk_nonsense")
	w.wantReason(err, "NOT_FOUND")
	w.wantState(c, checkout.Created)

	code := w.message(c, checkout.ForMerchant()).GetCode()
	typed := code[:4] + "-" + code[4:8] + " " + code[8:]
	if got, err := w.desks[0].ByCode(t.Context(), typed); err != nil || got.ID != c.ID {
		t.Errorf("%q finds %v, %v", typed, got, err)
	}
	if _, err = w.desks[0].ByCode(t.Context(), "000000000000"); rpc.ReasonName(rpc.ReasonOf(err)) != "NOT_FOUND" {
		t.Errorf("a code that isn't there: %v", err)
	}
}

func TestListsShowEachCheckoutOnceNewestFirst(t *testing.T) {
	w := newWorld(t)
	var made []uuid.UUID
	for i := range 7 {
		c := w.sell("1.00 USD")
		made = append([]uuid.UUID{c.ID}, made...)
		if i%2 == 0 {
			w.pay(c)
		}
	}
	list := func(f checkout.Filter) (all []uuid.UUID) {
		f.Merchant, f.PageSize = w.shop.Merchant, 2
		for {
			page, next, err := w.desks[0].List(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, ids(page...)...)
			if next == "" {
				return all
			}
			f.PageToken = next
		}
	}
	want := func(what string, got, want []uuid.UUID) {
		if len(got) != len(want) {
			t.Fatalf("%s lists %v, want %v", what, got, want)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%s lists %v, want %v", what, got, want)
			}
		}
	}
	want("all", list(checkout.Filter{}), made)
	want("the terminal", list(checkout.Filter{Terminal: w.shop.Terminal, Store: w.shop.Store}), made)
	want("another terminal", list(checkout.Filter{Terminal: id.New()}), nil)
	want("paid", list(checkout.Filter{State: checkout.Succeeded}), []uuid.UUID{made[0], made[2], made[4], made[6]})
	_, token, err := w.desks[0].List(t.Context(), checkout.Filter{Merchant: w.shop.Merchant, PageSize: 2})
	if err != nil || token == "" {
		t.Fatal(err, "no next page")
	}
	_, _, err = w.desks[0].List(t.Context(), checkout.Filter{Merchant: w.shop.Merchant, PageToken: token, State: checkout.Created})
	if e, ok := errors.AsType[*rpc.Error](err); !ok || rpc.ReasonName(e.Reason()) != "PAGE_TOKEN_INVALID" {
		t.Errorf("another list's token: %v", err)
	}
}
