package moneytest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
	"github.com/google/uuid"

	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rate"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
	"github.com/tillbook/tillbook/store/storetest"
)

// Books is a database of a test's own.
type Books struct {
	url     string
	store   *store.Store
	ledger  *ledger.Ledger
	numbers atomic.Int64
	keys    atomic.Int64
}

// New makes a database and sees to it that its books are right in the end.
func New(t testing.TB) *Books {
	t.Helper()
	b := &Books{url: storetest.NewDatabase(t)}
	t.Cleanup(func() { b.verify(t) })
	b.store = storetest.Open(t, store.Config{URL: b.url, MaxConns: 4})
	b.ledger = ledger.New(b.store.Pool, ledger.Config{})
	t.Cleanup(b.ledger.Close)
	return b
}

func (b *Books) verify(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := store.Open(ctx, store.Config{URL: b.url})
	if err != nil {
		t.Errorf("verify the books: %v", err)
		return
	}
	defer s.Close()
	report, err := ledger.Verify(ctx, s.Pool, ledger.VerifyOptions{})
	if err != nil {
		t.Errorf("verify the books: %v", err)
	}
	for _, p := range report.Problems {
		t.Errorf("the books are wrong: %s: %s: %s", p.Rule, p.Subject, p.Detail)
	}
}

// URL is that of a superuser on the database.
func (b *Books) URL() string { return b.url }

// Ledger is a ledger of the test's own, beside those of the replicas.
func (b *Books) Ledger() *ledger.Ledger { return b.ledger }

// User is somebody with a wallet.
type User struct {
	ID       uuid.UUID
	Name     string
	Phone    string
	Username string
}

// Principal is the user as caller.
func (u User) Principal() rpc.Principal { return rpc.Principal{Kind: rpc.KindUser, User: u.ID} }

// Account is the code of the user's account of an asset.
func (u User) Account(asset string) string {
	return money.UserAccount(u.ID, ledger.Asset{Code: asset})
}

// User adds a user.
func (b *Books) User(t testing.TB, username string) User {
	t.Helper()
	n := b.numbers.Add(1)
	u := User{
		ID:       id.New(),
		Phone:    fmt.Sprintf("+62812%08d", 10_000_000+n),
		Username: username,
	}
	u.Name = id.Format(id.User, u.ID)
	_, err := b.store.Pool.Exec(t.Context(), `
		INSERT INTO users (id, phone_number, username, password_hash, password_time, create_time)
		VALUES ($1, $2, $3, '-', now(), now())`, u.ID, u.Phone, u.Username)
	if err != nil {
		t.Fatalf("add user %s: %v", username, err)
	}
	return u
}

// Fund gives a user money from outside, such as "12.50 USD".
func (b *Books) Fund(t testing.TB, u User, amount string) {
	t.Helper()
	decimal, code, _ := strings.Cut(amount, " ")
	asset, err := b.ledger.Asset(t.Context(), code)
	if err != nil {
		t.Fatal(err)
	}
	value, err := ledger.ParseDecimal(decimal, asset.Exponent)
	if err != nil {
		t.Fatal(err)
	}
	from := b.open(t, ledger.AccountSpec{Code: money.SandboxAccount(asset), Asset: asset.ID, Unbounded: true})
	to := b.open(t, ledger.AccountSpec{Code: money.UserAccount(u.ID, asset), Asset: asset.ID})
	_, err = b.ledger.Commit(t.Context(), ledger.Command{
		Key:         ledger.NewKey("moneytest", fmt.Sprint(b.keys.Add(1))),
		Fingerprint: ledger.Fingerprint(amount),
		Kind:        ledger.KindFunding,
		Accounts:    []ledger.AccountID{from, to},
		Decide:      ledger.Transfer(from, to, value, ""),
	})
	if err != nil {
		t.Fatalf("fund %s: %v", u.Username, err)
	}
}

func (b *Books) open(t testing.TB, spec ledger.AccountSpec) ledger.AccountID {
	t.Helper()
	account, err := b.ledger.OpenAccount(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return account
}

// Balance is what a user has, in major units; "none" without an account.
func (b *Books) Balance(t testing.TB, u User, asset string) string {
	t.Helper()
	return b.AccountBalance(t, u.Account(asset))
}

// AccountBalance is what is in an account, in major units; "none" if there is
// no such account.
func (b *Books) AccountBalance(t testing.TB, code string) string {
	t.Helper()
	a, err := b.ledger.Account(t.Context(), code)
	if errors.Is(err, ledger.ErrAccountNotFound) {
		return "none"
	}
	if err != nil {
		t.Fatal(err)
	}
	held, err := b.ledger.AssetByID(t.Context(), a.Asset)
	if err != nil {
		t.Fatal(err)
	}
	return a.Balance.Decimal(held.Exponent)
}

// Transactions is how many transactions there are in all.
func (b *Books) Transactions(t testing.TB) int {
	t.Helper()
	var n int
	if err := b.store.Pool.QueryRow(t.Context(), `SELECT count(*) FROM transactions`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// Accounts is how many accounts there are in all.
func (b *Books) Accounts(t testing.TB) int {
	t.Helper()
	var n int
	if err := b.store.Pool.QueryRow(t.Context(), `SELECT count(*) FROM accounts`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// Replica is one of several servers on one database.
type Replica struct {
	Store   *store.Store
	Ledger  *ledger.Ledger
	Limiter *rate.Limiter
	// Server is where the test registers its services.
	Server *connect.Server
	// Drain makes the server end its streams.
	Drain context.CancelFunc
}

// Replica starts a server without services.
func (b *Books) Replica(t testing.TB) *Replica {
	t.Helper()
	s := storetest.Open(t, store.Config{URL: b.url})
	l := ledger.New(s.Pool, ledger.Config{PollInterval: 5 * time.Millisecond})
	t.Cleanup(l.Close)
	draining, drain := context.WithCancel(context.Background())
	t.Cleanup(drain)
	return &Replica{
		Store:   s,
		Ledger:  l,
		Limiter: rate.New(s, secret.Fixed([]byte("moneytest")), time.Now),
		Server:  connect.NewServer(interceptors(t, draining, s)...),
		Drain:   drain,
	}
}

func interceptors(t testing.TB, draining context.Context, s *store.Store) []connect.ServerInterceptor {
	t.Helper()
	validator, err := rpc.NewValidator()
	if err != nil {
		t.Fatal(err)
	}
	limits := rpc.Limits{Timeout: time.Minute, MaxTimeout: time.Minute, StreamAge: time.Hour, Draining: draining}
	return []connect.ServerInterceptor{
		rpc.Begin(rpc.Policies, nil),
		rpc.Translate(),
		rpc.Bound(limits),
		rpc.Authorize(authenticator{}, nil, true, s.Queries().Record),
		rpc.Validate(validator),
	}
}

// authenticator believes the tokens that As makes.
type authenticator struct{}

func (authenticator) Authenticate(_ context.Context, bearer string) (rpc.Principal, error) {
	kind, who, _ := strings.Cut(bearer, ":")
	parsed, err := uuid.Parse(who)
	switch {
	case err != nil:
		return rpc.Principal{}, err
	case kind == "user":
		return rpc.Principal{Kind: rpc.KindUser, User: parsed}, nil
	case kind == "operator":
		return rpc.Principal{Kind: rpc.KindOperator, Operator: parsed}, nil
	default:
		return rpc.Principal{}, errors.New("unknown kind of token")
	}
}

// As returns a client that calls as p. An anonymous one sends no credentials.
func (r *Replica) As(p rpc.Principal) *connect.Client {
	token := ""
	switch p.Kind {
	case rpc.KindUser:
		token = "user:" + p.User.String()
	case rpc.KindOperator:
		token = "operator:" + p.Operator.String()
	}
	authorize := func(next connect.ClientFunc) connect.ClientFunc {
		return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
			info, ok := connect.CallInfoForClientContext(ctx)
			if !ok {
				ctx, info = connect.NewClientContext(ctx)
			}
			if token != "" {
				info.RequestHeader().Set("Authorization", "Bearer "+token)
			}
			return next(ctx, spec)
		}
	}
	return connect.NewClient(connectinprocess.New(r.Server), authorize)
}
