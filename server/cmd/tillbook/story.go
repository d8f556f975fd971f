package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"strings"
	"time"

	"github.com/tillbook/tillbook/sdk"
)

// story is what the demo plays: each step does something through the public API
// and fails unless the server answers as it should.
type story struct {
	out         io.Writer
	url         string
	operatorKey string // Without one the books are left unverified.
	steps       int
	ada, ben    *person
}

// person is somebody with a phone and a client of their own.
type person struct {
	name     string
	phone    string
	username string
	client   *tillbook.Client
}

func (s *story) play(ctx context.Context) error {
	fmt.Fprintf(s.out, "\nThe demo, played through the API at %s\n", s.url)
	var err error
	if s.ada, err = s.newPerson("Ada", indonesianMobile()); err != nil {
		return err
	}
	if s.ben, err = s.newPerson("Ben", malaysianMobile()); err != nil {
		return err
	}
	acts := []func(context.Context) error{
		func(ctx context.Context) error { return s.register(ctx, s.ada) },
		func(ctx context.Context) error { return s.register(ctx, s.ben) },
		s.fund,
		s.pay,
		s.overspend,
		s.showBalances,
		s.verify,
	}
	for _, act := range acts {
		if err := act(ctx); err != nil {
			return s.explain(err)
		}
	}
	return nil
}

// explain says what to do about the failures that a newcomer meets.
func (s *story) explain(err error) error {
	switch {
	case s.steps == 1 && errors.Is(err, tillbook.ReasonUnavailable):
		return fmt.Errorf("no server answers at %s: start one with `tillbook serve --sandbox`, or name another with --url", s.url)
	case errors.Is(err, tillbook.ReasonUnimplemented):
		return fmt.Errorf("the server at %s runs without a sandbox: start it with `tillbook serve --sandbox`", s.url)
	}
	return fmt.Errorf("the demo stopped at step %d: %w", s.steps, err)
}

func (s *story) close() {
	for _, p := range []*person{s.ada, s.ben} {
		if p != nil {
			p.client.Close()
		}
	}
}

// newPerson invents somebody whom this database doesn't know yet.
func (s *story) newPerson(name, phone string) (*person, error) {
	client, err := tillbook.New(s.url, tillbook.WithUserAgent("tillbook-demo/"+version))
	if err != nil {
		return nil, err
	}
	suffix := make([]byte, 4)
	rand.Read(suffix)
	return &person{
		name:     name,
		phone:    phone,
		username: strings.ToLower(name) + "_" + hex.EncodeToString(suffix),
		client:   client,
	}, nil
}

func indonesianMobile() string { return "+62812" + randomDigits(8) }
func malaysianMobile() string  { return "+6012" + randomDigits(7) }

func randomDigits(n int) string {
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
	number, err := rand.Int(rand.Reader, limit)
	if err != nil {
		panic(err) // crypto/rand never fails.
	}
	return fmt.Sprintf("%0*s", n, number)
}

func (s *story) register(ctx context.Context, p *person) error {
	s.step("%s registers the phone number %s.", p.name, p.phone)
	challenge, err := p.client.Auth.Register(ctx, &tillbook.RegisterRequest{
		PhoneNumber: p.phone,
		Username:    p.username,
		Password:    "demo " + rand.Text(),
		DeviceName:  "demo",
	})
	if err != nil {
		return err
	}
	sms, err := p.awaitSMS(ctx)
	if err != nil {
		return err
	}
	s.detail("SMS: %q", sms)
	user, err := p.client.Auth.VerifyPhone(ctx, challenge, codeForm.FindString(sms))
	if err != nil {
		return err
	}
	s.detail("The code is right: %s is %s, and signed in.", user.GetUserId(), user.GetUsername())
	return nil
}

// codeForm is what the code in an SMS looks like.
var codeForm = regexp.MustCompile(`\b[0-9]{6}\b`)

// awaitSMS returns the newest message to somebody's phone. It waits for the
// first: the server answers before it is sent, so that the time an answer takes
// tells nothing.
func (p *person) awaitSMS(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		for message, err := range p.client.Sandbox.Messages(ctx, p.phone) {
			if err != nil {
				return "", err
			}
			return message.GetText(), nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return "", fmt.Errorf("no SMS came to %s", p.phone)
		}
	}
}

func (s *story) fund(ctx context.Context) error {
	s.step("The sandbox gives Ada 100.00 USD.")
	funding, err := s.ada.client.Sandbox.Fund(ctx, &tillbook.FundRequest{
		PhoneNumber: s.ada.phone,
		Amount:      tillbook.MustMoney("100.00 USD").Proto(),
	})
	if err != nil {
		return err
	}
	s.detail("%s: her balance is %s.", funding.GetTransactionId(), show(funding.GetBalanceAfter()))
	return nil
}

// pay pays while the payee watches, then sends the same request again, as a
// phone does that lost the answer in a tunnel.
func (s *story) pay(ctx context.Context) error {
	s.step("Ada pays Ben 12.50 USD, and Ben's phone watches.")
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	sightings := watch(ctx, s.ben.client)
	if _, err := next(ctx, sightings); err != nil { // The snapshot: from here on he misses nothing.
		return err
	}
	payment := &tillbook.TransferRequest{
		IdempotencyKey: rand.Text(),
		Recipient:      tillbook.ToUsername(s.ben.username),
		Amount:         tillbook.MustMoney("12.50 USD").Proto(),
		Note:           "Lunch",
	}
	start := time.Now()
	first, err := s.ada.client.Wallet.Transfer(ctx, payment)
	if err != nil {
		return err
	}
	s.detail("%s: her balance is %s, after %s.", first.GetTransactionId(), show(first.GetBalanceAfter()), since(start))
	sighting, err := next(ctx, sightings)
	if err != nil {
		return err
	}
	seen := sighting.event.GetChange().GetTransaction()
	if seen.GetTransactionId() != first.GetTransactionId() {
		return fmt.Errorf("ben saw %s instead of the payment", seen.GetTransactionId())
	}
	s.detail("Ben sees %s from %s (%s): his balance is %s, after %s.", show(seen.GetAmount()),
		seen.GetCounterparty().GetMaskedName(), seen.GetNote(), show(seen.GetBalanceAfter()), sighting.at.Sub(start).Round(time.Millisecond))

	s.step("Ada's phone didn't hear the answer and sends the same payment again.")
	second, err := s.ada.client.Wallet.Transfer(ctx, payment)
	if err != nil {
		return err
	}
	if second.GetTransactionId() != first.GetTransactionId() {
		return errors.New("the payment was executed twice")
	}
	s.detail("%s again: nothing moved twice.", second.GetTransactionId())
	return nil
}

func (s *story) overspend(ctx context.Context) error {
	s.step("Ada tries to pay 1000.00 USD, which she doesn't have.")
	_, err := s.ada.client.Wallet.Transfer(ctx, &tillbook.TransferRequest{
		Recipient: tillbook.ToPhone(s.ben.phone),
		Amount:    tillbook.MustMoney("1000.00 USD").Proto(),
	})
	var refusal *tillbook.Error
	if !errors.As(err, &refusal) || !errors.Is(err, tillbook.ReasonInsufficientFunds) {
		return fmt.Errorf("the server should have refused with INSUFFICIENT_FUNDS, but: %w", orSuccess(err))
	}
	s.detail("Refused: %s, %s: %s", refusal.Reason, strings.TrimPrefix(refusal.Outcome.String(), "OUTCOME_"), refusal.Message)
	return nil
}

func (s *story) showBalances(ctx context.Context) error {
	s.step("What they have now.")
	for _, p := range []*person{s.ada, s.ben} {
		balances, err := p.client.Wallet.Balances(ctx)
		if err != nil {
			return err
		}
		for _, b := range balances {
			s.detail("%s: %s", p.name, show(b.GetAvailable()))
		}
	}
	return nil
}

func (s *story) verify(ctx context.Context) error {
	if s.operatorKey == "" {
		fmt.Fprintf(s.out, "\n     The books stay unverified: that takes an operator's key, in --operator-key.\n")
		return nil
	}
	s.step("An operator verifies the books.")
	operator, err := tillbook.New(s.url, tillbook.WithOperatorKey(s.operatorKey))
	if err != nil {
		return err
	}
	defer operator.Close()
	result, err := operator.Ledger.Verify(ctx)
	if errors.Is(err, tillbook.ReasonUnauthenticated) {
		return fmt.Errorf("the server doesn't know the operator's key; make one there and give it in --operator-key: %w", err)
	}
	if err != nil {
		return err
	}
	for _, p := range result.GetProblems() {
		s.detail("%s: %s: %s", p.GetRule(), p.GetSubject(), p.GetDetail())
	}
	if !result.GetOk() {
		return errors.New("the books are wrong")
	}
	s.detail("%d accounts, %d transactions, %d entries: every one of them adds up.",
		result.GetAccounts(), result.GetTransactions(), result.GetEntries())
	return nil
}

// sighting is what a watching phone shows, and when.
type sighting struct {
	event *tillbook.Event
	at    time.Time
	err   error
}

// watch shows everything that happens to a wallet, until the context ends.
func watch(ctx context.Context, client *tillbook.Client) <-chan sighting {
	sightings := make(chan sighting)
	go func() {
		for event, err := range client.Wallet.Watch(ctx) {
			select {
			case sightings <- sighting{event, time.Now(), err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return sightings
}

func next(ctx context.Context, sightings <-chan sighting) (sighting, error) {
	select {
	case s := <-sightings:
		return s, s.err
	case <-ctx.Done():
		return sighting{}, ctx.Err()
	}
}

func (s *story) step(format string, args ...any) {
	s.steps++
	fmt.Fprintf(s.out, "\n%3d. "+format+"\n", append([]any{s.steps}, args...)...)
}

func (s *story) detail(format string, args ...any) {
	fmt.Fprintf(s.out, "     "+format+"\n", args...)
}

// show writes money as people read it.
func show(m interface {
	GetAmount() string
	GetAsset() string
}) string {
	return m.GetAmount() + " " + m.GetAsset()
}

func since(start time.Time) time.Duration { return time.Since(start).Round(time.Millisecond) }

func orSuccess(err error) error {
	if err == nil {
		return errors.New("it executed")
	}
	return err
}
