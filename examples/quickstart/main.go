// Quickstart tells the shortest story about money with the Go SDK: two people
// register, one gets money, pays the other, and the other sees it arrive.
//
// Start a sandbox server (`make run`), then:
//
//	go run ./examples/quickstart
//
// It can be run again and again: the people are new each time.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"syscall"

	tillbook "github.com/tillbook/tillbook/sdk"
)

func main() {
	url := os.Getenv("TILLBOOK_URL")
	if url == "" {
		url = "http://127.0.0.1:8080"
	}
	flag.StringVar(&url, "url", url, "where the server is; default from `TILLBOOK_URL`")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, url); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", explain(err, url))
		os.Exit(1)
	}
}

// run plays the story against the server and prints it.
func run(ctx context.Context, out io.Writer, url string) error {
	fmt.Fprintf(out, "Two people and a payment, at %s\n\n", url)

	fmt.Fprintln(out, "Ana and Budi register. Each is signed in with the code from an SMS.")
	ana, err := register(ctx, out, url, "ana")
	if err != nil {
		return err
	}
	defer ana.Close()
	budi, err := register(ctx, out, url, "budi")
	if err != nil {
		return err
	}
	defer budi.Close()

	funded, err := ana.Sandbox.Fund(ctx, &tillbook.FundRequest{
		PhoneNumber: ana.phone,
		Amount:      tillbook.MustMoney("100.00 USD").Proto(),
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\nAna gets money from the sandbox, and has %s.\n", money(funded.GetBalanceAfter()))

	// Budi looks at his wallet before anything happens, so that he sees it live.
	next, stop := iter.Pull2(budi.Wallet.Watch(ctx))
	defer stop()
	if _, err, _ := next(); err != nil {
		return err
	}

	paid, err := ana.Wallet.Transfer(ctx, &tillbook.TransferRequest{
		Recipient: tillbook.ToUsername(budi.username),
		Amount:    tillbook.MustMoney("12.50 USD").Proto(),
		Note:      "lunch",
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\nAna pays Budi for lunch, and has %s left.\n", money(paid.GetBalanceAfter()))

	event, err, _ := next()
	if err != nil {
		return err
	}
	came := event.GetChange().GetTransaction()
	fmt.Fprintf(out, "Budi sees it arrive: %s from %s, %q. He has %s.\n",
		money(came.GetAmount()), came.GetCounterparty().GetMaskedName(), came.GetNote(), money(came.GetBalanceAfter()))

	if err := overspend(ctx, out, ana, budi); err != nil {
		return err
	}
	return history(ctx, out, ana)
}

// person is somebody with a client of their own, as on a phone of their own.
type person struct {
	*tillbook.Client
	username, phone string
}

// register makes somebody new with a random name and number.
func register(ctx context.Context, out io.Writer, url, name string) (*person, error) {
	client, err := tillbook.New(url)
	if err != nil {
		return nil, err
	}
	p := &person{
		Client:   client,
		username: fmt.Sprintf("%s.%06d", name, rand.IntN(1_000_000)),
		phone:    fmt.Sprintf("+62812%08d", rand.IntN(100_000_000)),
	}
	challenge, err := client.Auth.Register(ctx, &tillbook.RegisterRequest{
		PhoneNumber: p.phone,
		Username:    p.username,
		Password:    "a long day at the sea",
		DeviceName:  "quickstart",
	})
	if err != nil {
		client.Close()
		return nil, err
	}
	code, err := client.Sandbox.Code(ctx, p.phone)
	if err != nil {
		client.Close()
		return nil, err
	}
	if _, err := client.Auth.VerifyPhone(ctx, challenge, code); err != nil {
		client.Close()
		return nil, err
	}
	fmt.Fprintf(out, "  %-14s %s\n", p.username, p.phone)
	return p, nil
}

// overspend shows what a refusal looks like.
func overspend(ctx context.Context, out io.Writer, payer, payee *person) error {
	_, err := payer.Wallet.Transfer(ctx, &tillbook.TransferRequest{
		Recipient: tillbook.ToUsername(payee.username),
		Amount:    tillbook.MustMoney("1000.00 USD").Proto(),
		Note:      "a car",
	})
	switch {
	case err == nil:
		return errors.New("a payment of more than there is went through")
	case !errors.Is(err, tillbook.ReasonInsufficientFunds):
		return err
	}
	fmt.Fprintln(out, "\nAna tries to pay 1000.00 USD for a car: there isn't that much, and nothing moves.")
	return nil
}

// history prints what happened to somebody's money, newest first.
func history(ctx context.Context, out io.Writer, p *person) error {
	fmt.Fprintln(out, "\nAna's history:")
	for t, err := range p.Wallet.Transactions(ctx, nil) {
		if err != nil {
			return err
		}
		kind := strings.ToLower(strings.TrimPrefix(t.GetKind().String(), "TRANSACTION_KIND_"))
		fmt.Fprintf(out, "  %s  %12s  %-8s  %-10s  leaves %s\n", t.GetCreateTime().AsTime().Local().Format("15:04:05"),
			money(t.GetAmount()), kind, t.GetCounterparty().GetMaskedName(), money(t.GetBalanceAfter()))
	}
	return nil
}

// amount is what messages hold money in.
type amount interface {
	GetAmount() string
	GetAsset() string
}

// money writes an amount as people read it.
func money(a amount) string { return a.GetAmount() + " " + a.GetAsset() }

// explain adds what to do about an error, where that is known.
func explain(err error, url string) string {
	switch {
	case errors.Is(err, tillbook.ReasonUnavailable):
		return fmt.Sprintf("%v\nIs a server running at %s? `make run` starts one.", err, url)
	case errors.Is(err, tillbook.ReasonUnimplemented):
		return fmt.Sprintf("%v\nThe server at %s runs without a sandbox: start it with --sandbox.", err, url)
	}
	return err.Error()
}
