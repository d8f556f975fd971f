package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/sdk"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/storetest"
)

// A massacre is a server process that is killed while people pay each other
// through it, and what they were told.
type massacre struct {
	t        *testing.T
	database *storetest.Server
	secret   string // a file
	address  string
	process  *exec.Cmd
	log      *os.File
	people   []*person

	deeds  atomic.Int64
	mu     sync.Mutex
	told   []*told
	killed int
	found  int // payments left unknown that had been executed
}

// told is a payment and what its payer was told.
type told struct {
	payer   *person
	request *tillbook.TransferRequest
	cents   int64
	id      uuid.UUID // it was executed as this transaction
	unknown bool
}

func TestAServerThatIsKilledUnderLoadLosesAndDoublesNothing(t *testing.T) {
	m := &massacre{t: t, database: storetest.NewServer(t, nil)}
	m.prepare()
	m.start()
	for i := range 6 {
		m.people = append(m.people, m.register(i))
	}
	stop := make(chan struct{})
	var payers sync.WaitGroup
	for i := range 24 {
		payers.Go(func() { m.pay(m.people[i%len(m.people)], stop) })
	}
	for range 3 {
		time.Sleep(700 * time.Millisecond)
		m.kill()
		m.start()
	}
	time.Sleep(300 * time.Millisecond)
	close(stop)
	payers.Wait()
	m.settle()
	m.check()
}

func (m *massacre) prepare() {
	m.t.Helper()
	key := make([]byte, 32)
	rand.Read(key)
	m.secret = filepath.Join(m.t.TempDir(), "secret")
	if err := os.WriteFile(m.secret, []byte(base64.StdEncoding.EncodeToString(key)), 0o600); err != nil {
		m.t.Fatal(err)
	}
	m.address = freeAddress()
	var err error
	if m.log, err = os.Create(filepath.Join(m.t.TempDir(), "log")); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		if m.t.Failed() {
			text, _ := os.ReadFile(m.log.Name())
			m.t.Logf("the servers' log:\n%s", text)
		}
		_ = m.log.Close()
	})
	m.t.Cleanup(m.kill)
}

// start runs a server and waits until it is ready.
func (m *massacre) start() {
	m.t.Helper()
	m.process = exec.Command("tillbook", "serve", "--sandbox", "--database-url", m.database.URL(),
		"--listen", m.address, "--secret-file", m.secret, "--log-level", "warn")
	m.process.Stderr = m.log
	if err := m.process.Start(); err != nil {
		m.t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		response, err := http.Get("http://" + m.address + "/readyz")
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("the server is not ready: %v", err)
		}
	}
}

// kill ends the server without warning. What it had sent is still on its way to
// PostgreSQL.
func (m *massacre) kill() {
	if m.process == nil {
		return
	}
	_ = m.process.Process.Kill()
	_ = m.process.Wait()
	m.process = nil
	m.killed++
}

// register makes somebody with money, whose client doesn't retry by itself.
func (m *massacre) register(n int) *person {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client, err := tillbook.New("http://"+m.address, tillbook.WithRetries(0), tillbook.WithTimeout(20*time.Second))
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(client.Close)
	p := &person{phone: indonesianMobile(), username: fmt.Sprintf("payer_%d", n), client: client}
	challenge, err := client.Auth.Register(ctx, &tillbook.RegisterRequest{
		PhoneNumber: p.phone, Username: p.username, Password: "test " + rand.Text(), DeviceName: "test",
	})
	if err != nil {
		m.t.Fatal(err)
	}
	code, err := client.Sandbox.Code(ctx, p.phone)
	if err != nil {
		m.t.Fatal(err)
	}
	if _, err = client.Auth.VerifyPhone(ctx, challenge, code); err != nil {
		m.t.Fatal(err)
	}
	_, err = client.Sandbox.Fund(ctx, &tillbook.FundRequest{
		PhoneNumber: p.phone, Amount: tillbook.MustMoney("20 USD").Proto(),
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return p
}

// pay pays one of the others after the other until stop is closed. Now and then
// it is more than there is, or what was sent before.
func (m *massacre) pay(p *person, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(mathrand.N(10 * time.Millisecond)):
		}
		switch mathrand.N(10) {
		case 0:
			if before := m.executed(); before != nil {
				m.send(before)
			}
		case 1:
			m.send(m.order(p, 1_000_000))
		default:
			m.send(m.order(p, 1+mathrand.N(int64(200))))
		}
	}
}

func (m *massacre) order(p *person, cents int64) *told {
	to := p
	for to == p {
		to = m.people[mathrand.N(len(m.people))]
	}
	name := fmt.Sprintf("deed %d", m.deeds.Add(1))
	d := &told{payer: p, cents: cents, request: &tillbook.TransferRequest{
		IdempotencyKey: "key-of-" + name[5:], Recipient: tillbook.ToUsername(to.username), Note: name,
		Amount: tillbook.MustMoney(fmt.Sprintf("%d.%02d USD", cents/100, cents%100)).Proto(),
	}}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.told = append(m.told, d)
	return d
}

// executed picks a payment that was acknowledged.
func (m *massacre) executed() *told {
	m.mu.Lock()
	defer m.mu.Unlock()
	for range 10 {
		if len(m.told) == 0 {
			return nil
		}
		if d := m.told[mathrand.N(len(m.told))]; d.id != uuid.Nil {
			return d
		}
	}
	return nil
}

// send asks for a payment and notes the answer. It returns false if the answer
// leaves open what became of it.
func (m *massacre) send(d *told) bool {
	transaction, err := d.payer.client.Wallet.Transfer(context.Background(), d.request)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		executed, parseErr := id.Parse(id.Transaction, transaction.GetTransactionId())
		if parseErr != nil || (d.id != uuid.Nil && d.id != executed) {
			m.t.Errorf("%s was answered with %s after %s", d.request.GetNote(), transaction.GetTransactionId(), d.id)
		}
		d.id = executed
		return true
	}
	var failure *tillbook.Error
	if !errors.As(err, &failure) {
		m.t.Errorf("%s failed with a strange error: %v", d.request.GetNote(), err)
		return true
	}
	switch {
	case failure.Outcome == tillbook.OutcomeUnknown:
		d.unknown = true
		return false
	case failure.Outcome != tillbook.OutcomeNotExecuted:
		m.t.Errorf("%s failed with outcome %s: %v", d.request.GetNote(), failure.Outcome, err)
	case failure.Reason == tillbook.ReasonInsufficientFunds && d.id != uuid.Nil:
		m.t.Errorf("%s was executed and is now refused: %v", d.request.GetNote(), err)
	}
	return failure.Reason == tillbook.ReasonInsufficientFunds
}

// settle asks again, with the same key, about everything that was left unknown.
func (m *massacre) settle() {
	m.t.Helper()
	booked := m.readBooks()
	for _, d := range m.told {
		if _, ok := booked[d.request.GetNote()]; ok && d.unknown {
			m.found++
		}
		for deadline := time.Now().Add(patience); d.unknown && !m.send(d); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				m.t.Fatalf("what became of %s can't be found out", d.request.GetNote())
			}
		}
	}
}

// check compares what the payers were told with the books.
func (m *massacre) check() {
	m.t.Helper()
	booked := m.readBooks()
	var acknowledged, unknown int
	for _, d := range m.told {
		row, ok := booked[d.request.GetNote()]
		delete(booked, d.request.GetNote())
		if d.unknown {
			unknown++
		}
		switch {
		case d.id == uuid.Nil && ok:
			m.t.Errorf("%s is in the books as %+v, its payer was told that it was not executed", d.request.GetNote(), row)
		case d.id != uuid.Nil && row != (payment{d.id, d.cents}):
			m.t.Errorf("%s was acknowledged as %s over %d, the books say %+v", d.request.GetNote(), d.id, d.cents, row)
		case d.id != uuid.Nil:
			acknowledged++
		}
	}
	for note, row := range booked {
		m.t.Errorf("nobody asked for %q, which is in the books as %+v", note, row)
	}
	out, err := exec.Command("tillbook", "verify", "--database-url", m.database.URL()).CombinedOutput()
	if err != nil {
		m.t.Errorf("verify ended with %v:\n%s", err, out)
	}
	if unknown == 0 {
		m.t.Error("no payment was under way when the servers were killed")
	}
	m.t.Logf("%d payments over %d killed servers: %d acknowledged, %d not executed; %d were unknown for a time, of which %d had been executed",
		len(m.told), m.killed, acknowledged, len(m.told)-acknowledged, unknown, m.found)
}

// payment is a transfer in the books.
type payment struct {
	id    uuid.UUID
	cents int64
}

func (m *massacre) readBooks() map[string]payment {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, m.database.URL())
	if err != nil {
		m.t.Fatal(err)
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `SELECT note, id, abs(a_amount)::bigint FROM transactions WHERE kind = 1`)
	if err != nil {
		m.t.Fatal(err)
	}
	booked := map[string]payment{}
	var note string
	var p payment
	_, err = pgx.ForEachRow(rows, []any{&note, &p.id, &p.cents}, func() error {
		if other, ok := booked[note]; ok {
			m.t.Errorf("%s was executed twice: %+v and %+v", note, other, p)
		}
		booked[note] = p
		return nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return booked
}
