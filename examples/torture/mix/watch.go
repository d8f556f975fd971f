package mix

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tillbook/tillbook/examples/torture/record"
	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
	tillbook "github.com/tillbook/tillbook/sdk"
)

const (
	// MerchantStream is the name of the merchant's stream.
	MerchantStream = "merchant"
	// dropAfter is after how long, at most, a client drops its stream and goes on by
	// its token, as one does whose program is restarted.
	dropAfter = 12 * time.Second
)

// WalletStream is the name of a person's stream.
func WalletStream(p *Person) string { return "wallet/" + p.Name }

// watchAll follows the wallets and the merchant.
func (m *Mix) watchAll(ctx context.Context) error {
	token, err := m.whereMerchantBegins(ctx)
	if err != nil {
		return err
	}
	for _, p := range m.People() {
		m.listeners.Go(func() { m.watchWallet(p) })
	}
	m.listeners.Go(func() { m.watchMerchant(token) })
	return nil
}

// watching waits until all wallets' streams have begun.
func (m *Mix) watching(ctx context.Context) error {
	for _, p := range m.People() {
		for {
			if _, begun := m.record.Last(WalletStream(p)); begun {
				break
			}
			if !sleep(ctx, 20*time.Millisecond) {
				return fmt.Errorf("the stream of %s doesn't begin: %w", p.Name, ctx.Err())
			}
		}
	}
	return nil
}

// whereMerchantBegins returns a token from which on everything is to be told. The
// stream's first message has it.
func (m *Mix) whereMerchantBegins(ctx context.Context) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := merchantv1connect.NewMerchantServiceClient(m.Owner.patient.RPC()).
		WatchMerchant(ctx, &merchantv1.WatchMerchantRequest{MerchantId: m.Shop.Merchant})
	if err != nil {
		return "", fmt.Errorf("following the merchant: %w", err)
	}
	defer stream.Close()
	first, err := stream.Receive()
	return first.GetResumeToken(), err
}

// watchWallet follows a wallet until the mix ends.
func (m *Mix) watchWallet(p *Person) {
	name := WalletStream(p)
	for token := ""; m.ending.Err() == nil; {
		ctx, cancel := context.WithTimeout(m.ending, dropAfter/2+rand.N(dropAfter/2))
		for e, err := range p.patient.Wallet.WatchFrom(ctx, token) {
			if err != nil {
				m.gaveUp(ctx, name, err)
				break
			}
			m.toldWallet(name, e)
			token = e.GetResumeToken()
		}
		cancel()
	}
}

// Broke is the state of an event that says that a stream ended for good: that
// shouldn't happen.
const Broke = "BROKE"

// gaveUp notes that the SDK gave a stream up, unless it was dropped on purpose.
func (m *Mix) gaveUp(ctx context.Context, stream string, err error) {
	if ctx.Err() != nil {
		return
	}
	m.record.Told(stream, record.Event{State: Broke + ": " + err.Error()})
	sleep(m.ending, time.Second)
}

func (m *Mix) toldWallet(stream string, e *tillbook.Event) {
	switch {
	case e.GetSnapshot() != nil:
		var has int64
		for _, b := range e.GetSnapshot().GetBalances() {
			if b.GetTotal().GetAsset() == asset {
				has, _ = cents(b.GetTotal().GetAmount())
			}
		}
		m.record.Told(stream, record.Event{Snapshot: true, Balance: has})
	case e.GetChange() != nil:
		t := e.GetChange().GetTransaction()
		amount, _ := cents(t.GetAmount().GetAmount())
		after, _ := cents(t.GetBalanceAfter().GetAmount())
		m.record.Told(stream, record.Event{Transaction: t.GetTransactionId(), Cents: amount, Balance: after})
	}
}

// watchMerchant follows the merchant until the mix ends.
func (m *Mix) watchMerchant(token string) {
	for m.ending.Err() == nil {
		ctx, cancel := context.WithTimeout(m.ending, dropAfter/2+rand.N(dropAfter/2))
		for e, err := range m.Owner.patient.Merchants.WatchFrom(ctx, m.Shop.Merchant, token) {
			if err != nil {
				m.gaveUp(ctx, MerchantStream, err)
				break
			}
			if c := e.GetCheckout(); c != nil {
				m.record.Told(MerchantStream, record.Event{Checkout: c.GetCheckoutId(), State: c.GetState().String(), Mark: c.GetReference()})
			}
			token = e.GetResumeToken()
		}
		cancel()
	}
}
