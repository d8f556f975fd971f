package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/alexedwards/argon2id"
	"golang.org/x/sync/errgroup"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/gen/tillbook/auth/v1/authv1connect"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	sandboxv1 "github.com/tillbook/tillbook/gen/tillbook/sandbox/v1"
	"github.com/tillbook/tillbook/gen/tillbook/sandbox/v1/sandboxv1connect"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	"github.com/tillbook/tillbook/server"
	"github.com/tillbook/tillbook/server/auth"
	"github.com/tillbook/tillbook/server/replica"
	"github.com/tillbook/tillbook/server/seal"
	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

// member is a replica in this process, with a file of keys of its own.
type member struct {
	file   secret.File
	keys   *secret.Keys
	client *connect.Client
	url    string
}

func startMember(t *testing.T, url, word string) *member {
	t.Helper()
	m := &member{file: secret.File(filepath.Join(t.TempDir(), "secret"))}
	if err := m.file.Prepend(word); err != nil {
		t.Fatal(err)
	}
	var err error
	if m.keys, err = secret.Load(t.Context(), m.file); err != nil {
		t.Fatal(err)
	}
	limits := auth.DefaultLimits().Times(10_000)
	s, err := server.New(t.Context(), server.Config{
		Listen: "127.0.0.1:0", DatabaseURL: url, SkipMigrate: true, Sandbox: true, Secret: m.keys, MaxConns: 8,
		ReplicaInterval: 20 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Auth: auth.Config{
			MaintainInterval: 100 * time.Millisecond, Limits: &limits, PasswordSlots: 4,
			Argon2: argon2id.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	plain := &http.Client{Transport: transport}
	m.url = "http://" + s.Addr()
	m.client = connect.NewClient(connecthttp.NewTransport(plain, m.url))
	return m
}

// as is a context that calls with a token.
func as(ctx context.Context, token string) context.Context {
	ctx, info := connect.NewClientContext(ctx)
	info.RequestHeader().Set("Authorization", "Bearer "+token)
	return ctx
}

// applicant is somebody whose code was sent but not entered yet.
type applicant struct{ phone, challenge, code string }

var people atomic.Int64

const applicantPassword = "demo horse 7 battery"

func (m *member) apply(ctx context.Context) (a applicant, err error) {
	n := people.Add(1)
	a.phone = fmt.Sprintf("+62812%08d", 10_000_000+n)
	res, err := authv1connect.NewAuthServiceClient(m.client).Register(ctx, &authv1.RegisterRequest{
		PhoneNumber: a.phone, Username: fmt.Sprintf("person%d", n), Password: applicantPassword, DeviceName: "test",
	})
	if err != nil {
		return a, fmt.Errorf("register: %w", err)
	}
	a.challenge = res.GetChallenge().GetChallengeId()
	for a.code == "" {
		sent, err := sandboxv1connect.NewSandboxServiceClient(m.client).ListMessages(ctx, &sandboxv1.ListMessagesRequest{PhoneNumber: a.phone})
		if err != nil {
			return a, fmt.Errorf("read messages: %w", err)
		}
		for _, message := range sent.GetMessages() {
			a.code = codeForm.FindString(message.GetText())
		}
	}
	return a, nil
}

func (m *member) verify(ctx context.Context, a applicant) (*authv1.Session, error) {
	res, err := authv1connect.NewAuthServiceClient(m.client).VerifyPhone(ctx, &authv1.VerifyPhoneRequest{ChallengeId: a.challenge, Code: a.code})
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	return res.GetSession(), nil
}

// round signs somebody up at one replica and has them act at both.
func round(ctx context.Context, here, there *member) error {
	a, err := here.apply(ctx)
	if err != nil {
		return err
	}
	session, err := there.verify(ctx, a)
	if err != nil {
		return err
	}
	n := people.Add(1)
	_, err = sandboxv1connect.NewSandboxServiceClient(here.client).Fund(ctx, &sandboxv1.FundRequest{
		PhoneNumber: a.phone, Amount: &moneyv1.Money{Asset: "USD", Amount: "10"}, IdempotencyKey: fmt.Sprintf("fund-%d", n),
	})
	if err != nil {
		return fmt.Errorf("fund: %w", err)
	}
	for i := range 4 {
		to := []*member{here, there}[i%2]
		_, err := walletv1connect.NewWalletServiceClient(to.client).Transfer(as(ctx, session.GetAccessToken()), &walletv1.TransferRequest{
			Recipient: &walletv1.Recipient{Recipient: &walletv1.Recipient_Username{Username: "payee"}},
			Amount:    &moneyv1.Money{Asset: "USD", Amount: "1"}, IdempotencyKey: fmt.Sprintf("pay-%d-%d", n, i),
		})
		if err != nil {
			return fmt.Errorf("pay: %w", err)
		}
	}
	res, err := authv1connect.NewAuthServiceClient(there.client).Refresh(ctx, &authv1.RefreshRequest{RefreshToken: session.GetRefreshToken()})
	if err != nil {
		return fmt.Errorf("refresh: %w", err)
	}
	_, err = authv1connect.NewAuthServiceClient(here.client).GetMe(as(ctx, res.GetSession().GetAccessToken()), &authv1.GetMeRequest{})
	if err != nil {
		return fmt.Errorf("after a refresh: %w", err)
	}
	return nil
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

// fetchText reads what a replica serves over plain HTTP.
func (m *member) fetchText(t *testing.T, path string) string {
	t.Helper()
	res, err := http.Get(m.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestReplicasChangeAllTheirKeysUnderLoadAndNoCallFails(t *testing.T) {
	t.Parallel()
	url := storetest.NewDatabase(t)
	older, newer := secret.Generate(), secret.Generate()
	a, b := startMember(t, url, older), startMember(t, url, older)
	owner := storetest.Open(t, store.Config{URL: url, Role: store.NoRole, MaxConns: 2})

	payee, err := a.apply(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.verify(t.Context(), payee); err != nil {
		t.Fatal(err)
	}
	if _, err := owner.Pool.Exec(t.Context(), "UPDATE users SET username = 'payee'"); err != nil {
		t.Fatal(err)
	}
	early, err := a.apply(t.Context()) // whose code is sent before, and entered after
	if err != nil {
		t.Fatal(err)
	}

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var rounds atomic.Int64
	load, _ := errgroup.WithContext(t.Context())
	for i := range 4 {
		load.Go(func() error {
			for ctx.Err() == nil {
				here, there := a, b
				if i%2 == 1 {
					here, there = b, a
				}
				if err := round(t.Context(), here, there); err != nil {
					stop()
					return err
				}
				rounds.Add(1)
			}
			return nil
		})
	}
	goOn := func() { // until the load was there for a while
		t.Helper()
		from := rounds.Load()
		until(t, "load", func() bool { return rounds.Load() >= from+4 || ctx.Err() != nil })
	}

	goOn()
	oldID := a.keys.InUse()
	for _, m := range []*member{a, b} {
		if err := m.file.Prepend(newer); err != nil {
			t.Fatal(err)
		}
		goOn()
	}
	until(t, "the new secret key to be used", func() bool { return a.keys.InUse() != oldID && b.keys.InUse() == a.keys.InUse() })

	all, err := secret.Load(t.Context(), a.file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := replica.Reseal(t.Context(), owner, all); err != nil {
		t.Fatal(err)
	}
	tokens := a.fetchText(t, "/.well-known/jwks.json")
	if _, err := auth.Rotate(t.Context(), owner, all, time.Second); err != nil {
		t.Fatal(err)
	}
	for _, m := range []*member{a, b} {
		until(t, "old and new token keys to be published", func() bool {
			return strings.Count(m.fetchText(t, "/.well-known/jwks.json"), `"kid"`) == 2
		})
	}
	until(t, "the new token key to sign", func() bool {
		states, err := auth.Keys(t.Context(), owner)
		return err == nil && len(states) == 4 && states[0].Ended && states[2].Ended
	})
	goOn()
	if !strings.Contains(a.fetchText(t, "/.well-known/jwks.json"), tokens[:len(tokens)-3][9:60]) {
		t.Error("the old token key is published no more")
	}
	if err := seal.Rotate(t.Context(), owner, all); err != nil {
		t.Fatal(err)
	}
	if err := replica.Retire(t.Context(), owner, all, oldID, true); err != nil {
		t.Fatal(err)
	}
	until(t, "the old secret key to go", func() bool { return !a.keys.Has(oldID) && !b.keys.Has(oldID) })
	goOn()

	if _, err := b.verify(t.Context(), early); err != nil {
		t.Errorf("a code that was sent before: %v", err)
	}
	stop()
	if err := load.Wait(); err != nil {
		t.Error(err)
	}
	t.Logf("%d rounds", rounds.Load())
}
