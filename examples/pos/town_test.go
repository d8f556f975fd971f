package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	tillbook "github.com/tillbook/tillbook/sdk"
	"github.com/tillbook/tillbook/server"
	"github.com/tillbook/tillbook/server/checkout/checkouttest"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/storetest"
)

// town is a server with a shop and somebody who buys there.
type town struct {
	t                  *testing.T
	database           string
	owner              *store.Store
	address            string // of the native door
	stop               func()
	merchant, customer *tillbook.Client
	shop               checkouttest.Shop
	office             *grpc.ClientConn
	folder             string // of the till
	printer            string
	terminal           string // the till's id
}

func newTown(t *testing.T) *town {
	t.Helper()
	folder := t.TempDir()
	w := &town{t: t, database: storetest.NewDatabase(t), folder: folder, printer: filepath.Join(folder, "paper")}
	w.owner = storetest.Open(t, store.Config{URL: w.database, Role: store.NoRole, MaxConns: 2})
	front := w.start("127.0.0.1:0")
	w.merchant, w.customer = w.join(front, "merchant", "+62 812 4000 0001"), w.join(front, "customer", "+62 812 4000 0002", "1000 USD")
	me, err := w.merchant.Auth.Me(t.Context())
	must(t, err)
	user, err := id.Parse(id.User, me.GetUserId())
	must(t, err)
	w.shop = checkouttest.Open(t, w.owner, user)
	w.office, err = grpc.NewClient(w.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	t.Cleanup(func() { _ = w.office.Close() })
	return w
}

// start starts a server whose native door is at an address, and returns where the
// other one is.
func (w *town) start(door string) (front string) {
	w.t.Helper()
	s, err := server.New(context.Background(), server.Config{
		Listen: "127.0.0.1:0", GRPCListen: door, DatabaseURL: w.database, MaxConns: 8, Sandbox: true, Grace: time.Second,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	must(w.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	w.address = s.GRPCAddr()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("the server ended with: %v", err)
		}
	})
	w.t.Cleanup(w.stop)
	return s.Addr()
}

func (w *town) join(front, name, number string, funds ...string) *tillbook.Client {
	w.t.Helper()
	client, err := tillbook.New("http://" + front)
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
func (w *town) as(client *tillbook.Client, procedure string, req, res any) {
	w.t.Helper()
	ctx := metadata.AppendToOutgoingContext(w.t.Context(), "authorization", "Bearer "+client.Session().GetAccessToken())
	must(w.t, w.office.Invoke(ctx, procedure, req, res, grpc.WaitForReady(true)))
}

const (
	terminals = "/tillbook.terminal.v1.TerminalService/"
	wallets   = "/tillbook.wallet.v1.WalletService/"
)

// activationCode adds a terminal.
func (w *town) activationCode() string {
	w.t.Helper()
	res := &terminalv1.CreateTerminalResponse{}
	w.as(w.merchant, terminals+"CreateTerminal", &terminalv1.CreateTerminalRequest{
		IdempotencyKey: uuid.NewString(), MerchantId: id.Format(id.Merchant, w.shop.Merchant), StoreId: id.Format(id.Store, w.shop.Store), Name: "Till",
	}, res)
	w.terminal = res.GetTerminal().GetTerminalId()
	return res.GetActivationCode()
}

func (w *town) command(kind terminalv1.CommandKind) {
	w.t.Helper()
	w.as(w.merchant, terminals+"SendCommand", &terminalv1.SendCommandRequest{
		MerchantId: id.Format(id.Merchant, w.shop.Merchant), TerminalId: w.terminal, Kind: kind,
	}, &terminalv1.SendCommandResponse{})
}

func (w *town) revoke() {
	w.t.Helper()
	w.as(w.merchant, terminals+"RevokeTerminal", &terminalv1.RevokeTerminalRequest{
		MerchantId: id.Format(id.Merchant, w.shop.Merchant), TerminalId: w.terminal,
	}, &terminalv1.RevokeTerminalResponse{})
}

// find is what a customer does who scanned a QR text or typed a code.
func (w *town) find(by *walletv1.GetCheckoutRequest) *checkoutv1.Checkout {
	w.t.Helper()
	res := &walletv1.GetCheckoutResponse{}
	w.as(w.customer, wallets+"GetCheckout", by, res)
	return res.GetCheckout()
}

func byCode(code string) *walletv1.GetCheckoutRequest {
	return &walletv1.GetCheckoutRequest{By: &walletv1.GetCheckoutRequest_Code{Code: code}}
}

func (w *town) pay(c *checkoutv1.Checkout, tip string) {
	w.t.Helper()
	req := &walletv1.PayCheckoutRequest{IdempotencyKey: c.GetCheckoutId(), CheckoutId: c.GetCheckoutId()}
	if tip != "" {
		req.Tip = tillbook.MustMoney(tip).Proto()
	}
	w.as(w.customer, wallets+"PayCheckout", req, &walletv1.PayCheckoutResponse{})
}

func (w *town) paymentCode(most string) string {
	w.t.Helper()
	res := &walletv1.CreatePaymentCodeResponse{}
	w.as(w.customer, wallets+"CreatePaymentCode", &walletv1.CreatePaymentCodeRequest{Maximum: tillbook.MustMoney(most).Proto()}, res)
	return res.GetPaymentCode()
}

// counter starts the till's process.
func (w *town) counter(flags ...string) *terminalScreen {
	w.t.Helper()
	return startCounter(w.t, append([]string{"-address", w.address, "-folder", w.folder, "-printer", w.printer}, flags...)...)
}

// printed is what is on paper.
func (w *town) printed() string {
	w.t.Helper()
	text, err := os.ReadFile(w.printer)
	if err != nil && !os.IsNotExist(err) {
		w.t.Fatal(err)
	}
	return string(text)
}
