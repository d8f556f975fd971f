package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/sdk"
	"github.com/tillbook/tillbook/store/storetest"
)

// deployment is two servers behind a balancer, and people who use them.
type deployment struct {
	t             *testing.T
	url           string
	replicas      [2]*served
	web, devices  *balancer
	people        []*tillbook.Client
	merchant      *tillbook.Merchant
	stop          chan struct{}
	all           sync.WaitGroup
	paid, sold    atomic.Int64
	mu            sync.Mutex
	owed, heard   map[string]int // payments by their ids: made, and told by watches
	sales, shown  map[string]int // sales that were paid, and told to terminals
	quiet         context.Context
	quietWatchers context.CancelFunc
}

// served is a server's process.
type served struct {
	process   *exec.Cmd
	web, grpc string
	ended     chan error
}

func (d *deployment) serve(secret string) *served {
	d.t.Helper()
	s := &served{web: freeAddress(), grpc: freeAddress(), ended: make(chan error, 1)}
	s.process = exec.Command("tillbook", "serve", "--sandbox", "--database-url", d.url, "--secret-file", secret,
		"--listen", s.web, "--grpc-listen", s.grpc, "--drain-delay", "300ms", "--grace", "10s", "--log-level", "warn")
	log := &strings.Builder{}
	s.process.Stderr = log
	if err := s.process.Start(); err != nil {
		d.t.Fatal(err)
	}
	go func() { s.ended <- s.process.Wait() }()
	d.t.Cleanup(func() {
		_ = s.process.Process.Kill()
		if d.t.Failed() {
			d.t.Logf("a server's log:\n%s", log)
		}
	})
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	for !isReady(ctx, s.web) {
		if ctx.Err() != nil {
			d.t.Fatal("a server is not ready")
		}
		time.Sleep(10 * time.Millisecond)
	}
	return s
}

// TestAServerThatIsToldToStopFailsNoCall ends one of two servers while people pay each
// other, watch their wallets and sell at terminals, all of whom send each call once, and
// then the other one at once.
func TestAServerThatIsToldToStopFailsNoCall(t *testing.T) {
	d := &deployment{
		t: t, url: storetest.NewDatabase(t), stop: make(chan struct{}),
		owed: make(map[string]int), heard: make(map[string]int), sales: make(map[string]int), shown: make(map[string]int),
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("c2FuZGJveCBzYW5kYm94IHNhbmRib3ggc2FuZGJveCE="), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range d.replicas {
		d.replicas[i] = d.serve(secret)
	}
	d.web = balance(t, d.replicas[0].web, d.replicas[0].web, d.replicas[1].web, d.replicas[1].web)
	d.devices = balance(t, d.replicas[0].web, d.replicas[0].grpc, d.replicas[1].web, d.replicas[1].grpc)
	d.quiet, d.quietWatchers = context.WithCancel(context.Background())
	d.populate()
	d.goesOn()

	first, held := d.replicas[0], d.hold()
	if err := first.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	held.finish(first.web, first.grpc)
	select {
	case err := <-first.ended:
		if err != nil {
			t.Errorf("the server that was told to stop ended with %v", err)
		}
	case <-time.After(31 * time.Second): // its delay, its grace and 20 s
		t.Error("the server that was told to stop is still there")
	}
	d.goesOn()
	d.check()
	d.stopTwice()
}

func (d *deployment) populate() {
	for i := range 4 {
		d.people = append(d.people, d.join(fmt.Sprint("person_", i), "http://"+d.web.address(), i%2 == 0))
	}
	ctx := d.t.Context()
	var err error
	if d.merchant, err = d.people[0].Merchants.Create(ctx, &tillbook.CreateMerchantRequest{Name: "Kopi", Country: "ID", City: "Bandung"}); err != nil {
		d.t.Fatal(err)
	}
	shop, err := d.people[0].Merchants.CreateStore(ctx, &tillbook.CreateStoreRequest{MerchantId: d.merchant.GetMerchantId(), Name: "Braga"})
	if err != nil {
		d.t.Fatal(err)
	}
	for i := range 2 {
		device := d.device(shop.GetStoreId(), i)
		d.all.Go(func() { d.sell(device, d.people[2+i]) })
	}
	for i := range d.people {
		watches := make(chan struct{})
		go d.watch(i, sync.OnceFunc(func() { close(watches) }))
		<-watches
	}
	for i := range d.people {
		d.all.Go(func() { d.pay(i) })
	}
}

func (d *deployment) join(name, at string, http2 bool) *tillbook.Client {
	d.t.Helper()
	client, err := tillbook.New(at, once(d.t, http2)...)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(client.Close)
	ctx, phone := d.t.Context(), indonesianMobile()
	challenge, err := client.Auth.Register(ctx, &tillbook.RegisterRequest{PhoneNumber: phone, Username: name, Password: "correct horse battery", DeviceName: "test"})
	if err != nil {
		d.t.Fatal(err)
	}
	code, err := client.Sandbox.Code(ctx, phone)
	if err != nil {
		d.t.Fatal(err)
	}
	if _, err := client.Auth.VerifyPhone(ctx, challenge, code); err != nil {
		d.t.Fatal(err)
	}
	if _, err := client.Sandbox.Fund(ctx, &tillbook.FundRequest{PhoneNumber: phone, Amount: tillbook.MustMoney("1000 USD").Proto()}); err != nil {
		d.t.Fatal(err)
	}
	return client
}

func (d *deployment) ended() bool {
	select {
	case <-d.stop:
		return true
	default:
		return false
	}
}

// goesOn waits until people pay, and terminals sell.
func (d *deployment) goesOn() {
	d.t.Helper()
	paid, sold := d.paid.Load()+80, d.sold.Load()+10
	for deadline := time.Now().Add(patience); d.paid.Load() < paid || d.sold.Load() < sold; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			d.t.Fatalf("%d payments and %d sales were made, and no more", d.paid.Load(), d.sold.Load())
		}
	}
}

// check ends the load and compares what was done with what was told.
func (d *deployment) check() {
	d.t.Helper()
	close(d.stop)
	d.all.Wait()
	wait := func(what string, ok func() bool) {
		d.t.Helper()
		for deadline := time.Now().Add(patience / 4); !ok(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				d.mu.Lock()
				defer d.mu.Unlock()
				d.t.Fatalf("never: %s (%d payments, %d told; %d sales, %d told)", what, len(d.owed), len(d.heard), len(d.sales), len(d.shown))
			}
		}
	}
	d.told("payments, by watches", d.owed, d.heard, wait)
	d.told("sales, by terminals", d.sales, d.shown, wait)
	d.quietWatchers()
	conn, err := pgx.Connect(d.t.Context(), d.url)
	if err != nil {
		d.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	none := func(query string) func() bool {
		return func() bool {
			var left int
			return conn.QueryRow(d.t.Context(), query).Scan(&left) == nil && left == 0
		}
	}
	wait("what the one sealed before is sealed by the other", none(`SELECT count(*) FROM events e WHERE e.type = 'ledger.committed'
		AND NOT EXISTS (SELECT FROM log_batches b WHERE b.event_id = e.id)`))
	wait("what the one settled before is settled by the other", none(`SELECT count(*) FROM accounts WHERE code LIKE 'merchant/%/pending/%' AND balance <> 0`))
	if out, err := exec.Command("tillbook", "verify", "--database-url", d.url).CombinedOutput(); err != nil {
		d.t.Errorf("verify: %v\n%s", err, out)
	}
	d.t.Logf("%d payments and %d sales", d.paid.Load(), d.sold.Load())
}

// told waits until all is told, and fails for what was told twice or without having
// been.
func (d *deployment) told(what string, made, told map[string]int, wait func(string, func() bool)) {
	d.t.Helper()
	wait(what+" are told", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		for id := range made {
			if told[id] == 0 {
				return false
			}
		}
		return true
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, n := range told {
		if n != 1 {
			d.t.Errorf("%s: %s was told %d times", what, id, n)
		}
	}
}

// stopTwice has the second server wait for a call that doesn't end, and tells it again.
func (d *deployment) stopTwice() {
	d.t.Helper()
	conn, err := pgx.Connect(d.t.Context(), d.url)
	if err != nil {
		d.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(d.t.Context(), `BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE`); err != nil {
		d.t.Fatal(err)
	}
	looking, err := pgx.Connect(d.t.Context(), d.url)
	if err != nil {
		d.t.Fatal(err)
	}
	defer looking.Close(context.Background())
	go func() { _, _ = d.people[0].Auth.Me(d.t.Context()) }()
	for waits := 0; waits == 0; {
		err := looking.QueryRow(d.t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%users%' AND datname = current_database()`).Scan(&waits)
		if err != nil {
			d.t.Fatal(err)
		}
	}
	second := d.replicas[1]
	for range 2 {
		if err := second.process.Process.Signal(syscall.SIGTERM); err != nil {
			d.t.Fatal(err)
		}
		for isReady(d.t.Context(), second.web) { // it has heard the first
			time.Sleep(time.Millisecond)
		}
	}
	err = <-second.ended
	if code, ok := errors.AsType[*exec.ExitError](err); !ok || code.ExitCode() != exitInterrupted {
		d.t.Errorf("a server that was told twice ended with %v", err)
	}
}

// pay pays the next person until the end.
func (d *deployment) pay(i int) {
	to := tillbook.ToUsername(fmt.Sprint("person_", (i+1)%len(d.people)))
	for !d.ended() {
		paid, err := d.people[i].Wallet.Transfer(context.Background(), &tillbook.TransferRequest{Recipient: to, Amount: tillbook.MustMoney("0.01 USD").Proto()})
		if err != nil {
			d.t.Errorf("a payment failed: %v", err)
			return
		}
		d.note(d.owed, paid.GetTransactionId())
		d.paid.Add(1)
	}
}

func (d *deployment) note(to map[string]int, id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	to[id]++
}

// watch hears of what comes in. It says when it has begun.
func (d *deployment) watch(i int, begun func()) {
	defer begun()
	for event, err := range d.people[i].Wallet.Watch(d.quiet) {
		if err != nil {
			if d.quiet.Err() == nil {
				d.t.Errorf("a watch ended: %v", err)
			}
			return
		}
		begun()
		d.hear(event)
	}
}
