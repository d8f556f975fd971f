package bench

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
)

// door is one of the server's two ports.
type door string

const (
	doorConnect door = "connect"
	doorGRPC    door = "grpc"
)

// loadOrder tells the load process what to do. It arrives on standard input.
type loadOrder struct {
	Door       door
	Address    string
	Callers    int
	Duration   time.Duration
	Tokens     []string // of the payers
	Recipients []string // user ids
	Bulk       bulkOrder
}

// loadResult is what the load process answers on standard output.
type loadResult struct {
	Took      time.Duration
	Latencies latencies
}

// loadGCPercent keeps the load's own garbage collection, which no real client
// would run on the server's processors, out of the way.
const loadGCPercent = 800

// Load carries out an order read from in: transfers through RPC, each checked.
// It is a process of its own so that its work doesn't count as the server's.
func Load(ctx context.Context, in io.Reader, out io.Writer) error {
	var order loadOrder
	if err := json.NewDecoder(bufio.NewReader(in)).Decode(&order); err != nil {
		return fmt.Errorf("reading the order: %w", err)
	}
	if order.Bulk.Items == 0 && (len(order.Tokens) == 0 || len(order.Recipients) == 0) {
		return errors.New("an order needs tokens and recipients")
	}
	debug.SetGCPercent(loadGCPercent)
	call, closeDoor, err := order.calls(ctx)
	if err != nil {
		return err
	}
	defer closeDoor()
	all, took, err := callInParallel(order.Callers, order.Duration, call)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(loadResult{Took: took, Latencies: all})
}

// calls returns what makes one call, whichever the order wants.
func (o *loadOrder) calls(ctx context.Context) (call func() error, closeDoor func(), err error) {
	if o.Bulk.Items > 0 {
		connections, closeAll, err := o.dial()
		return func() error { return o.Bulk.post(ctx, connections[mathrand.IntN(len(connections))]) }, closeAll, err
	}
	transfer, closeDoor, err := o.open()
	var callers atomic.Int64
	return func() error { return o.pay(ctx, int(callers.Add(1)), transfer) }, closeDoor, err
}

// transferFunc makes one call with a payer's token.
type transferFunc func(ctx context.Context, token string, r *walletv1.TransferRequest) (*walletv1.TransferResponse, error)

func (o *loadOrder) pay(ctx context.Context, n int, transfer transferFunc) error {
	amount := strconv.FormatFloat(float64(1+mathrand.IntN(100))/100, 'f', 2, 64)
	request := &walletv1.TransferRequest{
		IdempotencyKey: rand.Text(),
		Recipient:      &walletv1.Recipient{Recipient: &walletv1.Recipient_UserId{UserId: o.Recipients[mathrand.IntN(len(o.Recipients))]}},
		Amount:         &moneyv1.Money{Asset: "USD", Amount: amount},
	}
	response, err := transfer(ctx, o.Tokens[n%len(o.Tokens)], request)
	if err != nil {
		return err
	}
	if got := response.GetTransaction().GetAmount().GetAmount(); got != "-"+amount {
		return fmt.Errorf("a transfer of %s was answered with %s", amount, got)
	}
	return nil
}

func (o *loadOrder) open() (transferFunc, func(), error) {
	switch o.Door {
	case doorConnect:
		transfer, done := openConnect(o.Address, o.Callers)
		return transfer, done, nil
	case doorGRPC:
		return o.openGRPC()
	}
	return nil, nil, fmt.Errorf("no such door: %q", o.Door)
}

// openConnect uses the Connect protocol over HTTP/1.1 with kept connections,
// the cheapest way for calls that are not streams.
func openConnect(address string, callers int) (transferFunc, func()) {
	transport := &http.Transport{
		MaxIdleConns: callers, MaxIdleConnsPerHost: callers,
		DialContext:        (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		DisableCompression: true,
	}
	client := walletv1connect.NewWalletServiceClient(connect.NewClient(
		connecthttp.NewTransport(&http.Client{Transport: transport}, "http://"+address)))
	transfer := func(ctx context.Context, token string, r *walletv1.TransferRequest) (*walletv1.TransferResponse, error) {
		ctx, info := connect.NewClientContext(ctx)
		info.RequestHeader().Set("Authorization", "Bearer "+token)
		return client.Transfer(ctx, r)
	}
	return transfer, transport.CloseIdleConnections
}

// grpcConnections is how many connections the load spreads over. A payer stays on
// one, as a device does, so that its token is sent once and then referred to.
const grpcConnections = 8

// dial opens the connections.
func (o *loadOrder) dial() (connections []*grpc.ClientConn, closeAll func(), err error) {
	closeAll = func() {
		for _, c := range connections {
			_ = c.Close()
		}
	}
	for range grpcConnections {
		c, err := grpc.NewClient("passthrough:///"+o.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			closeAll()
			return nil, nil, fmt.Errorf("connecting to %s: %w", o.Address, err)
		}
		connections = append(connections, c)
	}
	return connections, closeAll, nil
}

func (o *loadOrder) openGRPC() (transferFunc, func(), error) {
	connections, closeAll, err := o.dial()
	if err != nil {
		return nil, nil, err
	}
	byToken := make(map[string]*grpc.ClientConn, len(o.Tokens))
	for i, token := range o.Tokens {
		byToken[token] = connections[i%grpcConnections]
	}
	transfer := func(ctx context.Context, token string, r *walletv1.TransferRequest) (*walletv1.TransferResponse, error) {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
		response := new(walletv1.TransferResponse)
		return response, byToken[token].Invoke(ctx, walletv1connect.WalletServiceTransferProcedure, r, response)
	}
	return transfer, closeAll, nil
}
