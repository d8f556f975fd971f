package hostile

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	"github.com/tillbook/tillbook/sdk"
)

// ceiling is what a server may have at the peak of any attack, in MiB.
const ceiling = 1024

// withstands attacks a server while two honest customers use it through both doors, one
// of whom pays the other; see withstand.
func (r *replica) withstands(t testing.TB, name string, attack func(context.Context) string) {
	t.Helper()
	ada := r.customer(t, "ada")
	ben := r.customer(t, "ben")
	withstand(t, name, []*replica{r}, [][]errand{
		{
			{"pay", func(ctx context.Context) error { return ada.pay(ctx, ben) }},
			{"look", func(ctx context.Context) error {
				_, err := ada.client.Wallet.Balances(ctx)
				return err
			}},
		},
		{{"look through the native door", ada.look}},
	}, attack)
}

// errand is what an honest customer does again and again.
type errand struct {
	what string
	do   func(context.Context) error
}

// withstand attacks servers while honest customers use them: none of the customers'
// calls may fail, the servers must be there afterwards and the memory of each stay below
// the ceiling. The attack says what it did and what became of it.
func withstand(t testing.TB, name string, replicas []*replica, customers [][]errand, attack func(context.Context) string) {
	t.Helper()
	calm, _ := serve(t, customers, func(context.Context) string {
		time.Sleep(size(100*time.Millisecond, 3*time.Second))
		return ""
	})
	f := figure{attack: name, calm: p99(calm)}
	for _, r := range replicas {
		f.before = max(f.before, r.memory(t, "VmRSS"))
		r.forgetPeak(t)
	}
	beside, did := serve(t, customers, attack)
	f.did, f.beside, f.calls = did, p99(beside), len(beside)
	for i, r := range replicas {
		if !r.ready() {
			t.Errorf("server %d isn't ready afterwards", i)
		}
		f.peak = max(f.peak, r.memory(t, "VmHWM"))
	}
	if f.peak > ceiling {
		t.Errorf("a server had %d MiB", f.peak)
	}
	figures.add(t, f)
}

// serve has each customer go through their errands for as long as something else takes.
// It returns how long the errands took.
func serve(t testing.TB, customers [][]errand, meanwhile func(context.Context) string) ([]time.Duration, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	var mu sync.Mutex
	var took []time.Duration
	var stop atomic.Bool
	run := func(e errand) {
		start := time.Now()
		if err := e.do(ctx); err != nil {
			t.Errorf("an honest customer was refused: %s: %v", e.what, err)
			stop.Store(true)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		took = append(took, time.Since(start))
	}
	var going sync.WaitGroup
	for _, errands := range customers {
		going.Go(func() {
			for !stop.Load() {
				for _, e := range errands {
					run(e)
				}
			}
		})
	}
	end := func() {
		stop.Store(true)
		going.Wait()
	}
	defer end() // also where meanwhile ends the test
	did := meanwhile(ctx)
	end()
	if len(took) == 0 {
		t.Error("no call was served")
	}
	return took, did
}

func p99(took []time.Duration) time.Duration {
	if len(took) == 0 {
		return 0
	}
	took = slices.Sorted(slices.Values(took))
	return took[(len(took)-1)*99/100].Round(100 * time.Microsecond)
}

// customer is somebody with money, and a client that repeats what is refused for
// the moment, as ours do.
type customer struct {
	client          *tillbook.Client
	conn            *grpc.ClientConn
	phone, username string
	id              string
}

var customers atomic.Int64

// customer registers somebody and gives them money.
func (r *replica) customer(t testing.TB, name string) *customer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	n := customers.Add(1)
	c := &customer{phone: fmt.Sprintf("+62813%03d%05d", n, n), username: fmt.Sprintf("%s.%d", name, n)}
	var err error
	c.client, err = tillbook.New("http://"+r.http, tillbook.WithTimeout(patience))
	must(t, err)
	t.Cleanup(c.client.Close)
	challenge, err := c.client.Auth.Register(ctx, &tillbook.RegisterRequest{
		PhoneNumber: c.phone, Username: c.username, Password: password, DeviceName: "phone",
	})
	must(t, err)
	code, err := c.client.Sandbox.Code(ctx, c.phone)
	must(t, err)
	user, err := c.client.Auth.VerifyPhone(ctx, challenge, code)
	must(t, err)
	c.id = user.GetUserId()
	_, err = c.client.Sandbox.Fund(ctx, &tillbook.FundRequest{PhoneNumber: c.phone, Amount: tillbook.MustMoney("1000 USD").Proto()})
	must(t, err)
	c.conn = dialGRPC(t, r.grpc)
	return c
}

const password = "correct horse battery"

// token is the access token in force.
func (c *customer) token() string { return c.client.Session().GetAccessToken() }

func (c *customer) pay(ctx context.Context, to *customer) error {
	_, err := c.client.Wallet.Transfer(ctx, &tillbook.TransferRequest{
		IdempotencyKey: uuid.NewString(), Recipient: tillbook.ToUsername(to.username), Amount: tillbook.MustMoney("0.01 USD").Proto(),
	})
	return err
}

// look reads the wallet through the native door.
func (c *customer) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.token())
	return c.conn.Invoke(ctx, walletv1connect.WalletServiceGetWalletProcedure, &walletv1.GetWalletRequest{}, &walletv1.GetWalletResponse{}, grpc.WaitForReady(true))
}

func dialGRPC(t testing.TB, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}
