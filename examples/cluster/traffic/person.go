package traffic

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"sync"
	"time"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	tillbook "github.com/tillbook/tillbook/sdk"
)

// registerTimeout bounds a registration: there is a text message to be waited for.
const registerTimeout = time.Minute

// person has a wallet, pays and watches.
type person struct {
	*tillbook.Client
	traffic         *Traffic
	transport       *http.Transport
	wallet          walletv1connect.WalletServiceClient
	username, phone string
	// watched is closed when the wallet is seen for the first time.
	watched chan struct{}
	seen    sync.Once
}

func (t *Traffic) register(ctx context.Context, name string) (*person, error) {
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	p := &person{
		traffic: t, transport: t.transport(), watched: make(chan struct{}),
		username: fmt.Sprintf("%s.%09d", name, mathrand.IntN(1e9)), phone: fmt.Sprintf("+62812%08d", mathrand.IntN(1e8)),
	}
	var err error
	options := []tillbook.Option{tillbook.WithHTTPClient(&http.Client{Transport: p.transport})}
	if t.options.Once {
		options = append(options, tillbook.WithRetries(0))
	}
	if p.Client, err = tillbook.New(t.options.URL, options...); err != nil {
		return nil, err
	}
	p.wallet = walletv1connect.NewWalletServiceClient(p.RPC())
	challenge, err := p.Auth.Register(ctx, &tillbook.RegisterRequest{PhoneNumber: p.phone, Username: p.username, Password: rand.Text()})
	if err != nil {
		return p, fmt.Errorf("register: %w", err)
	}
	code, err := p.Sandbox.Code(ctx, p.phone)
	if err != nil {
		return p, fmt.Errorf("read the code: %w", err)
	}
	if _, err := p.Auth.VerifyPhone(ctx, challenge, code); err != nil {
		return p, fmt.Errorf("verify the phone: %w", err)
	}
	if _, err := p.Sandbox.Fund(ctx, &tillbook.FundRequest{PhoneNumber: p.phone, Amount: tillbook.MustMoney("1000 USD").Proto()}); err != nil {
		return p, fmt.Errorf("fund: %w", err)
	}
	return p, nil
}

// pay pays a cent.
func (p *person) pay(to *person) {
	done, err := p.Wallet.Transfer(context.Background(), &tillbook.TransferRequest{
		Recipient: tillbook.ToUsername(to.username), Amount: tillbook.MustMoney("0.01 USD").Proto(),
	})
	if p.traffic.called("transfer", err) {
		p.traffic.book.promised(done.GetTransactionId(), p.username, to.username)
	}
}

// payCheckout pays what a till sells.
func (p *person) payCheckout(checkout string) bool {
	_, err := p.wallet.PayCheckout(context.Background(), &walletv1.PayCheckoutRequest{IdempotencyKey: rand.Text(), CheckoutId: checkout})
	return p.traffic.called("pay a checkout", err)
}

// watch sees what happens in the wallet until the context ends.
func (p *person) watch(ctx context.Context) {
	for event, err := range p.Wallet.Watch(ctx) {
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			p.traffic.called("watch", err)
			return
		case event.GetSnapshot() != nil:
			p.seen.Do(func() { close(p.watched) })
		case event.GetChange().GetTransaction() != nil:
			p.traffic.book.shown(event.GetChange().GetTransaction().GetTransactionId(), p.username)
		}
	}
}

func (p *person) close() {
	if p.Client != nil {
		p.Client.Close()
	}
	p.transport.CloseIdleConnections()
}
