package checkout_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	"github.com/tillbook/tillbook/server/checkout"
	"github.com/tillbook/tillbook/server/checkout/checkouttest"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// world is a shop, a customer with 1,000 USD, and two replicas.
type world struct {
	*testing.T
	books    *moneytest.Books
	store    *store.Store
	desks    [2]*checkout.Desk
	shop     checkouttest.Shop
	owner    moneytest.User
	customer moneytest.User
	keys     atomic.Int64
}

func newWorld(t *testing.T) *world { return newWorldWith(t, checkout.Deps{}) }

func newWorldWith(t *testing.T, deps checkout.Deps) *world {
	t.Helper()
	books := moneytest.New(t)
	w := &world{T: t, books: books, owner: books.User(t, "owner"), customer: books.User(t, "alice")}
	for i := range w.desks {
		r := books.Replica(t)
		deps.Store, deps.Ledger = r.Store, r.Ledger
		if deps.Key == nil {
			deps.Key = secret.Fixed([]byte("a key of the tests"))
		}
		w.store, w.desks[i] = r.Store, checkout.New(deps)
	}
	w.shop = checkouttest.Open(t, w.store, w.owner.ID)
	books.Fund(t, w.customer, "1000.00 USD")
	return w
}

func (w *world) key() string { return fmt.Sprint("key ", w.keys.Add(1)) }

func amount(text string) *moneyv1.Money {
	decimal, asset, _ := strings.Cut(text, " ")
	return &moneyv1.Money{Asset: asset, Amount: decimal}
}

// draft is a checkout of so much at the terminal, with tips.
func (w *world) draft(sum string) *checkout.Draft {
	return &checkout.Draft{
		By: checkout.Caller{User: w.owner.ID}, Key: w.key(), Merchant: w.shop.Merchant, Terminal: w.shop.Terminal,
		Amount: amount(sum), TipOptions: &checkoutv1.TipOptions{Allowed: true},
	}
}

func (w *world) create(d *checkout.Draft) *checkout.Checkout {
	w.Helper()
	c, err := w.desks[0].Create(w.Context(), d)
	if err != nil {
		w.Fatal(err)
	}
	return c
}

// sell makes a checkout of so much.
func (w *world) sell(sum string) *checkout.Checkout {
	w.Helper()
	return w.create(w.draft(sum))
}

// sellManually makes a checkout of so much that is captured later.
func (w *world) sellManually(sum string) *checkout.Checkout {
	w.Helper()
	d := w.draft(sum)
	d.Capture = checkoutv1.CaptureMode_CAPTURE_MODE_MANUAL
	return w.create(d)
}

func name(c *checkout.Checkout) string { return id.Format(id.Checkout, c.ID) }

func (w *world) payment(c *checkout.Checkout) *checkout.Payment {
	return &checkout.Payment{User: w.customer.ID, Key: w.key(), Checkout: name(c)}
}

func (w *world) pay(c *checkout.Checkout) *checkout.Checkout {
	w.Helper()
	paid, _, err := w.desks[0].Pay(w.Context(), w.payment(c))
	if err != nil {
		w.Fatal(err)
	}
	return paid
}

func (w *world) merchant() checkout.Scope { return checkout.Scope{Merchant: w.shop.Merchant} }

// change is a capture or refund of so much; of all if sum is empty.
func (w *world) change(c *checkout.Checkout, sum string) *checkout.Change {
	r := &checkout.Change{By: checkout.Caller{User: w.owner.ID}, Key: w.key(), Merchant: w.shop.Merchant, Checkout: name(c)}
	if sum != "" {
		r.Amount = amount(sum)
	}
	return r
}

func (w *world) get(c *checkout.Checkout) *checkout.Checkout {
	w.Helper()
	now, err := w.desks[1].Get(w.Context(), w.merchant(), name(c))
	if err != nil {
		w.Fatal(err)
	}
	return now
}

func (w *world) message(c *checkout.Checkout, to checkout.Viewer) *checkoutv1.Checkout {
	w.Helper()
	m, err := w.desks[1].Message(w.Context(), c, to)
	if err != nil {
		w.Fatal(err)
	}
	return m
}

func (w *world) wantState(c *checkout.Checkout, want checkout.State) {
	w.Helper()
	if got := w.get(c).State; got != want {
		w.Errorf("the checkout is %v, want %v", got, want)
	}
}

var usd = ledger.Asset{Code: "USD"}

// wantMoney compares what the customer, the merchant and Tillbook have, in USD.
func (w *world) wantMoney(customer, pending, available, fees string) {
	w.Helper()
	got := [4]string{
		w.books.Balance(w, w.customer, "USD"),
		w.books.AccountBalance(w, money.MerchantPending(w.shop.Merchant, usd)),
		w.books.AccountBalance(w, money.MerchantAvailable(w.shop.Merchant, usd)),
		w.books.AccountBalance(w, money.FeesAccount(usd)),
	}
	for i := range got {
		got[i] = strings.Replace(got[i], "none", "0.00", 1) // it makes no difference
	}
	if want := [4]string{customer, pending, available, fees}; got != want {
		w.Errorf("customer, pending, available and fees are %v, want %v", got, want)
	}
}

func (w *world) wantReason(err error, want string) *rpc.Error {
	w.Helper()
	if err == nil {
		w.Fatalf("nothing was refused, want %s", want)
	}
	if got := rpc.ReasonName(rpc.ReasonOf(err)); got != want {
		w.Fatalf("got %s (%v), want %s", got, err, want)
	}
	return rpc.AsError(err)
}

// events are the types of what a subject was told about a checkout, in order.
func (w *world) events(c *checkout.Checkout, subject string) string {
	w.Helper()
	rows, err := w.store.Pool.Query(w.Context(), `
		SELECT replace(type, 'checkout.', '') FROM events WHERE subject = $1 AND payload->>'checkout' = $2 ORDER BY xid, id`,
		subject, c.ID.String())
	if err != nil {
		w.Fatal(err)
	}
	defer rows.Close()
	var types []string
	for rows.Next() {
		var one string
		if err := rows.Scan(&one); err != nil {
			w.Fatal(err)
		}
		types = append(types, one)
	}
	return strings.Join(types, " ")
}

// wantEvents checks what the merchant and the terminal were told.
func (w *world) wantEvents(c *checkout.Checkout, want string) {
	w.Helper()
	for _, subject := range []string{money.MerchantScope(w.shop.Merchant), money.TerminalScope(w.shop.Terminal)} {
		if got := w.events(c, subject); got != want {
			w.Errorf("%s was told %q, want %q", subject, got, want)
		}
	}
}

// together runs f n times at once.
func together(n int, f func(i int)) {
	var ready, done sync.WaitGroup
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			ready.Done()
			ready.Wait()
			f(i)
		})
	}
	done.Wait()
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: it never came", what)
		}
	}
}

// brief makes a checkout that lives for a moment. A slow machine needs several tries.
func (w *world) brief(life time.Duration, d *checkout.Draft) (*checkout.Checkout, time.Time) {
	w.Helper()
	for {
		expire := time.Now().Add(life)
		d.Key, d.ExpireTime = w.key(), timestamppb.New(expire)
		c, err := w.desks[0].Create(w.Context(), d)
		if err == nil {
			return c, expire
		}
		w.wantReason(err, "EXPIRE_TIME_INVALID")
	}
}

// lapse makes the time of checkouts be over, which nobody but a superuser can.
func (w *world) lapse(list ...*checkout.Checkout) {
	w.Helper()
	conn, err := pgx.Connect(w.Context(), w.books.URL())
	if err != nil {
		w.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(w.Context(), `
		UPDATE checkouts SET expire_time = c.now, due_time = c.now FROM (SELECT clock_timestamp() AS now) c WHERE id = ANY ($1)`,
		ids(list...)); err != nil {
		w.Fatal(err)
	}
}

func ids(list ...*checkout.Checkout) (all []uuid.UUID) {
	for _, c := range list {
		all = append(all, c.ID)
	}
	return all
}
