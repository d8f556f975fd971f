package mix

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/tillbook/tillbook/examples/torture/record"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	tillbook "github.com/tillbook/tillbook/sdk"
)

// asset is all the money there is.
const asset = "USD"

// Person is somebody with a wallet.
type Person struct {
	Name, phone, password string
	// Funded is what they begin with, in cents.
	Funded int64
	// plain makes each call once, so that every attempt is seen. patient is the SDK as
	// it comes, with its own retries. Both act in one session.
	plain, patient *tillbook.Client
}

// register makes a user, signed in and with money.
func (m *Mix) register(ctx context.Context, name string, funded int64) (*Person, error) {
	p := &Person{
		Name: name + strings.ToLower(rand.Text()[:10]), Funded: funded, password: rand.Text(),
		phone: newPhone(),
	}
	var err error
	if p.plain, err = m.client(tillbook.WithRetries(0)); err != nil {
		return nil, err
	}
	if err := p.signUp(ctx); err != nil {
		return nil, fmt.Errorf("registering %s: %w", p.Name, err)
	}
	if p.patient, err = m.client(tillbook.WithSession(p.plain.Session())); err != nil {
		return nil, err
	}
	if funded == 0 {
		return p, nil
	}
	_, err = p.patient.Sandbox.Fund(ctx, &tillbook.FundRequest{PhoneNumber: p.phone, Amount: money(funded)})
	return p, err
}

func (p *Person) signUp(ctx context.Context) error {
	challenge, err := p.plain.Auth.Register(ctx, &tillbook.RegisterRequest{
		PhoneNumber: p.phone, Username: p.Name, Password: p.password, DeviceName: "torture",
	})
	if err != nil {
		return err
	}
	code, err := p.plain.Sandbox.Code(ctx, p.phone)
	if err != nil {
		return err
	}
	_, err = p.plain.Auth.VerifyPhone(ctx, challenge, code)
	return err
}

// Knock has somebody new register once, and says what the answer is.
func (m *Mix) Knock(ctx context.Context) record.Answer {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	o := &record.Operation{Kind: record.Register, Group: -1, From: "new" + strings.ToLower(rand.Text()[:10])}
	m.record.Begin(o)
	begin := m.record.Now()
	c, err := m.client(tillbook.WithRetries(0))
	if err == nil {
		_, err = c.Auth.Register(ctx, &tillbook.RegisterRequest{
			PhoneNumber: newPhone(), Username: o.From, Password: rand.Text(), DeviceName: "torture",
		})
	}
	a := record.Answer{Outcome: record.Done}
	if err != nil {
		a = answerTo(err)
	}
	m.record.Tried(o, begin, a)
	m.record.Ended(o, a)
	return a
}

func newPhone() string { return fmt.Sprintf("+62812%08d", mathrand.IntN(100_000_000)) }

// client returns an SDK client with connections of its own.
func (m *Mix) client(options ...tillbook.Option) (*tillbook.Client, error) {
	transport := &http.Transport{
		DialContext:       (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:   m.site.TLS.Clone(),
		ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 64, TLSHandshakeTimeout: 5 * time.Second, IdleConnTimeout: 45 * time.Second,
		HTTP2: &http.HTTP2Config{SendPingTimeout: 5 * time.Second, PingTimeout: 5 * time.Second},
	}
	return tillbook.New(m.site.HTTP, append(options, tillbook.WithHTTPClient(&http.Client{Transport: transport}))...)
}

// Transaction is an entry of a wallet's history.
type Transaction struct {
	ID    string
	Cents int64 // negative when it left
	After int64
	Note  string
}

// History returns what the books say of a person, oldest first.
func (p *Person) History(ctx context.Context) ([]Transaction, error) {
	var list []Transaction
	for t, err := range p.patient.Wallet.Transactions(ctx, &tillbook.ListTransactionsRequest{PageSize: 200, Asset: asset}) {
		if err != nil {
			return nil, fmt.Errorf("reading the history of %s: %w", p.Name, err)
		}
		amount, err := cents(t.GetAmount().GetAmount())
		if err != nil {
			return nil, err
		}
		after, err := cents(t.GetBalanceAfter().GetAmount())
		if err != nil {
			return nil, err
		}
		list = append(list, Transaction{ID: t.GetTransactionId(), Cents: amount, After: after, Note: t.GetNote()})
	}
	slices.Reverse(list)
	return list, nil
}

// Balance returns what a person has, in cents.
func (p *Person) Balance(ctx context.Context) (int64, error) { return balance(ctx, p.patient) }

func balance(ctx context.Context, c *tillbook.Client) (int64, error) {
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

// answerTo says what an error tells of an attempt.
func answerTo(err error) record.Answer {
	e, ok := errors.AsType[*tillbook.Error](err)
	if !ok {
		return record.Answer{Outcome: record.Unknown, Reason: err.Error()}
	}
	a := record.Answer{Outcome: record.Refused, Reason: string(e.Reason)}
	if a.Reason == "" {
		a.Reason = e.Code.String()
	}
	switch {
	case e.Outcome == tillbook.OutcomeUnknown:
		a.Outcome = record.Unknown
	case passes(e):
		a.Outcome = record.Failed
	}
	return a
}

// passes tells errors that go away by themselves.
func passes(e *tillbook.Error) bool {
	switch e.Code {
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded, connect.CodeResourceExhausted, connect.CodeAborted,
		connect.CodeCanceled, connect.CodeInternal, connect.CodeUnknown:
		return true
	}
	return errors.Is(e, tillbook.ReasonTokenExpired)
}

func money(cents int64) *moneyv1.Money {
	return tillbook.MustMoney(fmt.Sprintf("%d.%02d %s", cents/100, cents%100, asset)).Proto()
}

// cents reads an amount of dollars such as "-12.50".
func cents(amount string) (int64, error) {
	digits, negative := strings.CutPrefix(amount, "-")
	var whole, part int64
	_, err := fmt.Sscanf(digits, "%d.%02d", &whole, &part)
	if err != nil {
		return 0, fmt.Errorf("%q is no amount of dollars: %w", amount, err)
	}
	if negative {
		return -(whole*100 + part), nil
	}
	return whole*100 + part, nil
}
