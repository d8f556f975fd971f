package server

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/storetest"
)

// pair is a primary with a synchronous standby, and two replicas that know both.
type pair struct {
	t                *testing.T
	primary, standby *storetest.Server
	stories          []*story
	people           []person
	operator         string

	stop     func() // ends the payments and waits for them
	stopped  atomic.Bool
	payers   sync.WaitGroup
	mu       sync.Mutex
	paid     map[string]string // the transactions, by the keys that were acknowledged
	payments atomic.Int64
}

func newPair(t *testing.T) *pair {
	p := &pair{t: t, primary: storetest.NewServer(t, nil), paid: make(map[string]string)}
	p.standby = p.primary.Standby()
	p.primary.Exec(`ALTER SYSTEM SET synchronous_standby_names = '*'`)
	p.primary.Exec(`SELECT pg_reload_conf()`)
	// As the sandbox's own URL, but with both hosts.
	url := strings.Replace(p.primary.URL(), fmt.Sprintf("127.0.0.1:%d", p.primary.Port()),
		fmt.Sprintf("127.0.0.1:%d,127.0.0.1:%d", p.primary.Port(), p.standby.Port()), 1)
	for range 2 {
		r := startReplica(t, url)
		p.stories = append(p.stories, newStory(t, h2cClient(t), "http://"+r.GRPCAddr(), connecthttp.WithGRPC()))
	}
	for i := range 4 {
		who := p.stories[0].register("+628123456784"+strconv.Itoa(i), fmt.Sprint("payer_", i))
		p.stories[0].fund(who, "100")
		p.people = append(p.people, who)
	}
	_, key, err := storetest.Open(t, store.Config{URL: p.primary.URL(), Role: store.NoRole}).CreateOperator(t.Context(), "olga")
	if err != nil {
		t.Fatal(err)
	}
	p.operator = key
	p.stop = sync.OnceFunc(func() { p.stopped.Store(true); p.payers.Wait() })
	t.Cleanup(p.stop)
	for i := range p.people {
		p.payers.Go(func() { p.pay(i) })
	}
	p.goesOn()
	return p
}

// pay pays the next one, each payment until its outcome is known.
func (p *pair) pay(i int) {
	from, to := p.people[i], p.people[(i+1)%len(p.people)]
	for n := 0; !p.stopped.Load(); n++ {
		key := fmt.Sprintf("%d/%d", i, n)
		for tries := 0; ; tries++ {
			t, err := p.stories[(i+tries)%len(p.stories)].pay(from, to, "0.01", key)
			if err == nil {
				p.mu.Lock()
				p.paid[key] = t.GetTransactionId()
				p.mu.Unlock()
				p.payments.Add(1)
				break
			}
			if p.t.Failed() {
				return
			}
			if code := connect.CodeOf(err); code != connect.CodeUnavailable && code != connect.CodeDeadlineExceeded {
				p.t.Errorf("a payment during a failover: %v", err)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// goesOn waits until everybody pays.
func (p *pair) goesOn() {
	p.t.Helper()
	start, target := time.Now(), p.payments.Load()+int64(20*len(p.people))
	defer func() { p.t.Logf("payments went on after %v", time.Since(start).Round(time.Millisecond)) }()
	eventually(p.t, "payments go on", func() bool { return p.payments.Load() >= target })
}

// check ends the payments and compares what was acknowledged with the books.
func (p *pair) check() {
	p.t.Helper()
	p.stop()
	rows, err := storetest.Open(p.t, store.Config{URL: p.standby.URL()}).Pool.Query(p.t.Context(), `SELECT id FROM transactions WHERE kind = 1`)
	if err != nil {
		p.t.Fatal(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		p.t.Fatal(err)
	}
	booked := make(map[string]bool, len(ids))
	for _, u := range ids {
		booked[id.Format(id.Transaction, u)] = true
	}
	for key, transaction := range p.paid {
		if !booked[transaction] {
			p.t.Errorf("payment %s was acknowledged as %s, which is lost", key, transaction)
		}
	}
	// Every payment was asked for until it was acknowledged.
	if len(booked) != len(p.paid) {
		p.t.Errorf("the books have %d payments of %d that were made", len(booked), len(p.paid))
	}
	res, err := p.stories[0].ledger.Verify(p.stories[0].as(p.operator), &ledgerv1.VerifyRequest{})
	if err != nil || !res.GetOk() {
		p.t.Errorf("verify: %v %v", res, err)
	}
}

// TestReplicasFollowThePrimary: after the primary is gone, whichever way, replicas go on
// with the other, and nothing that was acknowledged is lost.
func TestReplicasFollowThePrimary(t *testing.T) {
	for name, end := range map[string]func(*pair){
		// It comes back read-only, and new sessions find it first in the list.
		"when it dies": func(p *pair) {
			p.primary.Exec(`ALTER SYSTEM SET default_transaction_read_only = on`)
			p.primary.Kill()
			p.standby.Promote()
			p.goesOn()
			p.primary.Start()
			p.standby.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
		},
		// Sessions go on, and writes are refused: it is for the replicas to leave.
		"when it is demoted": func(p *pair) {
			p.primary.Exec(`ALTER SYSTEM SET default_transaction_read_only = on`)
			p.primary.Exec(`SELECT pg_reload_conf()`)
			p.standby.Promote()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			end(p)
			p.goesOn()
			p.check()
		})
	}
}
