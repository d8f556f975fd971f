package terminal_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	tillbook "github.com/tillbook/tillbook/sdk"
	"github.com/tillbook/tillbook/sdk/terminal"
	"github.com/tillbook/tillbook/server"
	"github.com/tillbook/tillbook/server/checkout/checkouttest"
	terminalservice "github.com/tillbook/tillbook/server/terminal"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/storetest"
)

// town is a database with two replicas, a shop and somebody who buys there.
type town struct {
	t        *testing.T
	database string
	owner    *store.Store
	replicas []*replica
	merchant *tillbook.Client
	customer *tillbook.Client
	shop     checkouttest.Shop
	office   *grpc.ClientConn // calls as the merchant
}

type replica struct {
	*server.Server
	stop func()
}

func newTown(t *testing.T) *town {
	t.Helper()
	w := &town{t: t, database: storetest.NewDatabase(t)}
	w.owner = storetest.Open(t, store.Config{URL: w.database, Role: store.NoRole, MaxConns: 3})
	w.replicas = []*replica{w.start(), w.start()}
	w.merchant, w.customer = w.join("merchant", "+62 812 4000 0001"), w.join("customer", "+62 812 4000 0002", "1000 USD")
	me, err := w.merchant.Auth.Me(t.Context())
	must(t, err)
	user, err := id.Parse(id.User, me.GetUserId())
	must(t, err)
	w.shop = checkouttest.Open(t, w.owner, user)
	w.office, err = grpc.NewClient(w.replicas[0].GRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	t.Cleanup(func() { _ = w.office.Close() })
	return w
}

func (w *town) start() *replica {
	w.t.Helper()
	s, err := server.New(context.Background(), server.Config{
		Listen: "127.0.0.1:0", GRPCListen: "127.0.0.1:0", DatabaseURL: w.database, MaxConns: 10, Sandbox: true, Grace: 5 * time.Second,
		Logger:   slog.New(slog.NewTextHandler(io.Discard, nil)),
		Terminal: terminalservice.Config{Poll: 5 * time.Millisecond, Flush: 20 * time.Millisecond},
	})
	must(w.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("the server ended with: %v", err)
		}
	})
	w.t.Cleanup(stop)
	return &replica{s, stop}
}

func (w *town) join(name, number string, funds ...string) *tillbook.Client {
	w.t.Helper()
	client, err := tillbook.New("http://" + w.replicas[0].Addr())
	must(w.t, err)
	w.t.Cleanup(client.Close)
	challenge, err := client.Auth.Register(w.t.Context(), &tillbook.RegisterRequest{PhoneNumber: number, Username: name, Password: "correct horse battery"})
	must(w.t, err)
	code, err := client.Sandbox.Code(w.t.Context(), number)
	must(w.t, err)
	_, err = client.Auth.VerifyPhone(w.t.Context(), challenge, code)
	must(w.t, err)
	for _, amount := range funds {
		_, err := client.Sandbox.Fund(w.t.Context(), &tillbook.FundRequest{PhoneNumber: number, Amount: tillbook.MustMoney(amount).Proto()})
		must(w.t, err)
	}
	return client
}

// as calls a procedure as the holder of a client's session.
func (w *town) as(client *tillbook.Client, procedure string, req, res any) error {
	ctx := metadata.AppendToOutgoingContext(context.WithoutCancel(w.t.Context()), "authorization", "Bearer "+client.Session().GetAccessToken())
	return w.office.Invoke(ctx, procedure, req, res)
}

const service = "/tillbook.terminal.v1.TerminalService/"

func (w *town) merchantID() string { return id.Format(id.Merchant, w.shop.Merchant) }

// code adds a terminal and returns its activation code.
func (w *town) code() string {
	w.t.Helper()
	res := &terminalv1.CreateTerminalResponse{}
	must(w.t, w.as(w.merchant, service+"CreateTerminal", &terminalv1.CreateTerminalRequest{
		IdempotencyKey: uuid.NewString(), MerchantId: w.merchantID(), StoreId: id.Format(id.Store, w.shop.Store), Name: "Till",
	}, res))
	return res.GetActivationCode()
}

func (w *town) command(terminal string, kind terminalv1.CommandKind, version string) error {
	return w.as(w.merchant, service+"SendCommand", &terminalv1.SendCommandRequest{
		MerchantId: w.merchantID(), TerminalId: terminal, Kind: kind, Version: version,
	}, &terminalv1.SendCommandResponse{})
}

// network connects devices to replicas, now to one and now to the other, and can be
// cut.
type network struct {
	mu    sync.Mutex
	to    []string
	conns []net.Conn
}

func (w *town) network() *network {
	n := &network{}
	for _, r := range w.replicas {
		n.to = append(n.to, r.GRPCAddr())
	}
	return n
}

func (n *network) dial(ctx context.Context, _ string) (net.Conn, error) {
	n.mu.Lock()
	address := n.to[rand.IntN(len(n.to))]
	n.mu.Unlock()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err == nil {
		n.mu.Lock()
		n.conns = append(n.conns, conn)
		n.mu.Unlock()
	}
	return conn, err
}

// cut closes all connections, without a word to anybody.
func (n *network) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.conns {
		_ = c.Close()
	}
	n.conns = nil
}

// device is the storage of a device, which outlasts its process.
type device struct {
	w       *town
	folder  string
	network *network
}

func (w *town) device() *device {
	w.t.Helper()
	return &device{w, w.t.TempDir(), w.network()}
}

// boot starts the device's process.
func (d *device) boot(handlers terminal.Handlers) (*terminal.Terminal, *terminal.Journal) {
	d.w.t.Helper()
	journal, err := terminal.OpenJournal(filepath.Join(d.folder, "journal"))
	must(d.w.t, err)
	t, err := terminal.New(terminal.Config{
		Address: "passthrough:///replica", Plaintext: true, Keys: terminal.FileKeys(filepath.Join(d.folder, "key")), Journal: journal,
		Handlers: handlers, MinBackoff: 10 * time.Millisecond, MaxBackoff: 100 * time.Millisecond,
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(d.network.dial)},
	})
	must(d.w.t, err)
	d.w.t.Cleanup(func() { _, _ = t.Close(), journal.Close() })
	return t, journal
}

// run runs a terminal in the background; what it returns stops it.
func run(t *testing.T, device *terminal.Terminal) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- device.Run(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := stop(); err != nil && !errors.Is(err, context.Canceled) {
			t.Logf("Run: %v", err)
		}
	})
	return stop
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// next waits for what a handler was told.
func next[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(30 * time.Second):
		t.Fatalf("no %T came", *new(T))
		panic("unreachable")
	}
}
