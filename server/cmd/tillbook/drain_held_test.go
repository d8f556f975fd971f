package main

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
	"github.com/tillbook/tillbook/sdk"
)

// once are the options of a client that sends everything one time only, so that no call
// that was cut off goes unseen.
func once(t *testing.T, http2 bool) []tillbook.Option {
	transport := &http.Transport{}
	if http2 {
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetUnencryptedHTTP2(true)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return []tillbook.Option{tillbook.WithRetries(0), tillbook.WithHTTPClient(&http.Client{Transport: transport})}
}

// onceAtTills tells of what a terminal would send again.
func onceAtTills(t *testing.T) []grpc.DialOption {
	return []grpc.DialOption{grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		err := invoke(ctx, method, req, reply, conn, opts...)
		if err != nil {
			t.Errorf("a terminal's call failed: %v", err)
		}
		return err
	})}
}

// held are calls that a server can't end before it is let, one in each protocol.
type held struct {
	t       *testing.T
	rows    []pgx.Tx
	answers chan error
}

// hold makes calls at the first server that wait for rows: two changes of merchants and,
// last because the ledger doesn't wait long, a payment.
func (d *deployment) hold() *held {
	d.t.Helper()
	h := &held{t: d.t, answers: make(chan error, 3)}
	at := "http://" + d.replicas[0].web
	payer, owner := d.join("payer", at, false), d.join("owner", at, true)
	account, first, second := d.userID(payer), d.schedule(owner, "Over HTTP/2"), d.schedule(owner, "Over gRPC")
	conn, err := grpc.NewClient("passthrough:///"+d.replicas[0].grpc, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry())
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = conn.Close() })

	const shop = `SELECT FROM merchants WHERE name = $1 FOR UPDATE`
	h.call(d.url, shop, "Over HTTP/2", func(ctx context.Context) error {
		_, err := merchantv1connect.NewMerchantServiceClient(owner.RPC()).SetSettlementSchedule(ctx, first)
		return err
	})
	h.call(d.url, shop, "Over gRPC", func(ctx context.Context) error {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+owner.Session().AccessToken)
		return conn.Invoke(ctx, merchantv1connect.MerchantServiceSetSettlementScheduleProcedure, second, &merchantv1.SetSettlementScheduleResponse{})
	})
	h.call(d.url, `SELECT FROM accounts WHERE code = 'user/' || $1 || '/main/USD' FOR UPDATE`, account, func(ctx context.Context) error {
		_, err := payer.Wallet.Transfer(ctx, &tillbook.TransferRequest{Recipient: tillbook.ToUsername("person_0"), Amount: tillbook.MustMoney("1 USD").Proto()})
		return err
	})
	return h
}

func (d *deployment) userID(client *tillbook.Client) string {
	d.t.Helper()
	me, err := client.Auth.Me(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	return me.GetUserId()
}

// schedule makes a merchant and returns a change of it.
func (d *deployment) schedule(owner *tillbook.Client, name string) *merchantv1.SetSettlementScheduleRequest {
	d.t.Helper()
	made, err := owner.Merchants.Create(d.t.Context(), &tillbook.CreateMerchantRequest{Name: name, Country: "ID", City: "Bandung"})
	if err != nil {
		d.t.Fatal(err)
	}
	return &merchantv1.SetSettlementScheduleRequest{MerchantId: made.GetMerchantId(), SettlementSchedule: made.GetSettlementSchedule()}
}

// call locks a row and waits until the call waits for it.
func (h *held) call(url, row, which string, call func(context.Context) error) {
	h.t.Helper()
	conn, err := pgx.Connect(h.t.Context(), url)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	lock, err := conn.Begin(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	if locked, err := lock.Exec(h.t.Context(), row, which); err != nil || locked.RowsAffected() != 1 {
		h.t.Fatalf("locking %s: %v, %v", which, locked, err)
	}
	h.rows = append(h.rows, lock)
	go func() { h.answers <- call(context.Background()) }()
	for waiting, deadline := false, time.Now().Add(patience); !waiting; time.Sleep(time.Millisecond) {
		err := lock.QueryRow(h.t.Context(), `SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))`).Scan(&waiting)
		switch {
		case err != nil:
			h.t.Fatal(err)
		case len(h.answers) > 0:
			h.t.Fatalf("the call that needs %s didn't wait: %v", which, <-h.answers)
		case time.Now().After(deadline):
			h.t.Fatalf("the call that needs %s doesn't wait", which)
		}
	}
}

// finish lets the calls go on once both doors are closed, and wants their answers.
func (h *held) finish(doors ...string) {
	h.t.Helper()
	for _, door := range doors {
		for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			conn, err := net.DialTimeout("tcp", door, time.Second)
			if err != nil {
				break
			}
			_ = conn.Close()
			if time.Now().After(deadline) {
				h.t.Fatalf("the door at %s stays open", door)
			}
		}
	}
	if n := len(h.answers); n > 0 {
		h.t.Errorf("%d calls ended before they could", n)
	}
	for _, lock := range h.rows {
		if err := lock.Rollback(h.t.Context()); err != nil {
			h.t.Fatal(err)
		}
	}
	for range h.rows {
		if err := <-h.answers; err != nil {
			h.t.Errorf("a call that was under way failed: %v", err)
		}
	}
}
