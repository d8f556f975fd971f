package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/sdk"
	"github.com/tillbook/tillbook/sdk/terminal"
)

// freeAddress is one on which nothing listens, for a program that will. Its port isn't
// among those that whoever asks for any gets, such as the tests beside this one.
func freeAddress() string {
	for {
		address := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(10_000))
		if listener, err := net.Listen("tcp", address); err == nil {
			_ = listener.Close()
			return address
		}
	}
}

// balancer passes connections on to servers that say that they are ready, in turn, as
// load balancers do.
type balancer struct {
	listener net.Listener
	probes   []string
	targets  []string

	mu    sync.Mutex
	ready []bool
	turn  int
}

// balance returns one for pairs of addresses: where to ask, and where to connect.
func balance(t *testing.T, pairs ...string) *balancer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{listener: listener}
	for i := 0; i < len(pairs); i += 2 {
		b.probes, b.targets, b.ready = append(b.probes, pairs[i]), append(b.targets, pairs[i+1]), append(b.ready, true)
	}
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(func() { stop(); _ = listener.Close() })
	go b.probe(ctx)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go b.carry(conn)
		}
	}()
	return b
}

func (b *balancer) address() string { return b.listener.Addr().String() }

func (b *balancer) probe(ctx context.Context) {
	for ctx.Err() == nil {
		for i, address := range b.probes {
			ready := isReady(ctx, address)
			b.mu.Lock()
			b.ready[i] = ready
			b.mu.Unlock()
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// dial connects to the next server that is ready, or to whichever there is.
func (b *balancer) dial() (net.Conn, error) {
	b.mu.Lock()
	b.turn++
	var first, rest []string
	for i := range b.targets {
		at := (b.turn + i) % len(b.targets)
		if b.ready[at] {
			first = append(first, b.targets[at])
		} else {
			rest = append(rest, b.targets[at])
		}
	}
	b.mu.Unlock()
	err := io.EOF
	for _, address := range append(first, rest...) {
		var conn net.Conn
		if conn, err = net.DialTimeout("tcp", address, time.Second); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

func (b *balancer) carry(client net.Conn) {
	defer client.Close()
	server, err := b.dial()
	if err != nil {
		return
	}
	defer server.Close()
	done := make(chan struct{}, 2)
	pass := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		_ = to.(*net.TCPConn).CloseWrite()
		done <- struct{}{}
	}
	go pass(server, client)
	go pass(client, server)
	<-done
	<-done
}

// device brings a terminal online.
func (d *deployment) device(store string, n int) *terminal.Terminal {
	d.t.Helper()
	made, err := d.people[0].Terminals.Create(d.t.Context(), &tillbook.CreateTerminalRequest{
		MerchantId: d.merchant.GetMerchantId(), StoreId: store, Name: fmt.Sprint("Till ", n),
	})
	if err != nil {
		d.t.Fatal(err)
	}
	folder := d.t.TempDir()
	journal, err := terminal.OpenJournal(filepath.Join(folder, "journal"))
	if err != nil {
		d.t.Fatal(err)
	}
	device, err := terminal.New(terminal.Config{
		Address: "passthrough:///" + d.devices.address(), Plaintext: true, Keys: terminal.FileKeys(filepath.Join(folder, "key")), Journal: journal,
		Handlers: terminal.Handlers{Event: func(_ context.Context, e terminal.Event) {
			if e.Paid != nil {
				d.note(d.shown, e.Paid.GetCheckoutId())
			}
		}},
		MinBackoff: 10 * time.Millisecond, MaxBackoff: 100 * time.Millisecond, DialOptions: onceAtTills(d.t),
	})
	if err != nil {
		d.t.Fatal(err)
	}
	if _, err := device.Activate(d.t.Context(), made.GetActivationCode(), &terminalv1.Device{}); err != nil {
		d.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = device.Run(ctx) }()
	d.t.Cleanup(func() { stop(); <-ended; _, _ = device.Close(), journal.Close() })
	return device
}

// sell sells at a terminal until the end.
func (d *deployment) sell(device *terminal.Terminal, customer *tillbook.Client) {
	for n := 0; !d.ended(); n++ {
		checkout, err := device.CreateCheckout(context.Background(), &terminalv1.CreateCheckoutRequest{
			Amount: tillbook.MustMoney("0.10 USD").Proto(), Reference: fmt.Sprint("sale ", n),
		})
		if err != nil {
			d.t.Errorf("a sale failed: %v", err)
			return
		}
		if _, _, err := customer.Wallet.PayCheckout(context.Background(), &tillbook.PayCheckoutRequest{CheckoutId: checkout.GetCheckoutId()}); err != nil {
			d.t.Errorf("a customer's payment failed: %v", err)
			return
		}
		d.note(d.sales, checkout.GetCheckoutId())
		d.sold.Add(1)
	}
}

// hear notes what a watch told of incoming payments.
func (d *deployment) hear(event *tillbook.Event) {
	t := event.GetChange().GetTransaction()
	if t.GetKind() == walletv1.TransactionKind_TRANSACTION_KIND_TRANSFER && !strings.HasPrefix(t.GetAmount().GetAmount(), "-") {
		d.note(d.heard, t.GetTransactionId())
	}
}
