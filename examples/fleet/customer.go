package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"time"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	tillbook "github.com/tillbook/tillbook/sdk"
)

// fundedCents is what each customer begins with.
const fundedCents = 10_000_000

// customer is somebody with a wallet.
type customer struct {
	*tillbook.Client
	wallet walletv1connect.WalletServiceClient
	phone  string
}

// newCustomer returns a customer whose calls go to whichever replica is there,
// beginning with one.
func newCustomer(replicas []address, first int) (*customer, error) {
	addresses := make([]string, len(replicas))
	for i, r := range replicas {
		u, err := url.Parse(r.HTTP)
		if err != nil {
			return nil, err
		}
		addresses[i] = u.Host
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, _, err := dialAny(ctx, addresses, first)
			return conn, err
		},
		MaxIdleConnsPerHost: 64,
	}
	client, err := tillbook.New(replicas[first].HTTP, tillbook.WithHTTPClient(&http.Client{Transport: transport}))
	if err != nil {
		return nil, err
	}
	return &customer{
		Client: client, wallet: walletv1connect.NewWalletServiceClient(client.RPC()),
		phone: fmt.Sprintf("+62812%08d", mathrand.IntN(100_000_000)),
	}, nil
}

// register makes a user, signed in and with money.
func (c *customer) register(ctx context.Context) error {
	if err := c.signUp(ctx); err != nil {
		return fmt.Errorf("registering a customer: %w", err)
	}
	_, err := c.Sandbox.Fund(ctx, &tillbook.FundRequest{
		PhoneNumber: c.phone, Amount: tillbook.MustMoney(fmt.Sprintf("%d %s", fundedCents/100, asset)).Proto(),
	})
	return err
}

func (c *customer) signUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	challenge, err := c.Auth.Register(ctx, &tillbook.RegisterRequest{
		PhoneNumber: c.phone, Username: fmt.Sprintf("fleet%012d", mathrand.Int64N(1e12)), Password: rand.Text(), DeviceName: "fleet",
	})
	if err != nil {
		return err
	}
	code, err := c.Sandbox.Code(ctx, c.phone)
	if err != nil {
		return err
	}
	_, err = c.Auth.VerifyPhone(ctx, challenge, code)
	return err
}

// maxTries is how often a payment is sent again whose outcome isn't known, beyond the
// SDK's own retries: long enough for a replica to be gone.
const maxTries = 10

// pay pays a checkout. As long as the outcome isn't known, or the server says to come
// back, the same request is sent again, which moves the money once.
func (c *customer) pay(ctx context.Context, checkout string) error {
	request := &walletv1.PayCheckoutRequest{IdempotencyKey: rand.Text(), CheckoutId: checkout}
	var err error
	for try := range maxTries {
		if _, err = c.wallet.PayCheckout(ctx, request); err == nil || outcomeOf(err) == tillbook.OutcomeExecuted {
			return nil // paid, though the answer may say no more than that
		}
		if !isUnknown(err) && !errors.Is(err, tillbook.ReasonUnavailable) && !errors.Is(err, tillbook.ReasonOverloaded) {
			return err
		}
		time.Sleep(jitter(retryPause(try)))
	}
	return err
}

func isUnknown(err error) bool { return outcomeOf(err) == tillbook.OutcomeUnknown }

func outcomeOf(err error) tillbook.Outcome {
	e, ok := errors.AsType[*tillbook.Error](err)
	if !ok {
		return tillbook.OutcomeUnspecified
	}
	return e.Outcome
}

// balance is what is left, in cents.
func (c *customer) balance(ctx context.Context) (int64, error) {
	balances, err := c.Wallet.Balances(ctx)
	if err != nil {
		return 0, err
	}
	for _, b := range balances {
		if b.GetTotal().GetAsset() == asset {
			return cents(b.GetTotal().GetAmount())
		}
	}
	return 0, nil
}

// cents reads an amount of dollars such as "12.50".
func cents(amount string) (int64, error) {
	var whole, part int64
	_, err := fmt.Sscanf(amount, "%d.%02d", &whole, &part)
	return whole*100 + part, err
}
