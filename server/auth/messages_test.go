package auth_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/server/auth"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

func registerOnce(t *testing.T, r *replica, i int) error {
	t.Helper()
	_, err := r.Register(t.Context(), &authv1.RegisterRequest{
		PhoneNumber: number(i), Username: "user" + number(i)[1:], Password: goodPassword,
	})
	return err
}

func TestAMessageThatFailsIsSentAgain(t *testing.T) {
	w := newWorld(t)
	var tries atomic.Int64
	w.phones.fail = func(string) error {
		if tries.Add(1) < 3 {
			return errors.New("busy")
		}
		return nil
	}
	r := w.replica(t)
	wants(t, registerOnce(t, r, 1), "")
	w.phones.code(t, number(1))
	r.settled(t)
	if stats := r.service.Stats(); stats.MessagesSent != 1 || stats.MessagesFailed != 0 || tries.Load() != 3 {
		t.Errorf("%d tries, %+v", tries.Load(), stats)
	}
}

func TestAMessageThatCantBeDeliveredIsNotSentAgain(t *testing.T) {
	w := newWorld(t)
	var tries atomic.Int64
	w.phones.fail = func(string) error {
		tries.Add(1)
		return auth.ErrUndeliverable
	}
	r := w.replica(t)
	wants(t, registerOnce(t, r, 1), "")
	r.settled(t)
	if stats := r.service.Stats(); stats.MessagesFailed != 1 || tries.Load() != 1 {
		t.Errorf("%d tries, %+v", tries.Load(), stats)
	}
}

func TestAFullOutboxTurnsCallsAwayBeforeTheyMakeAChallenge(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) { c.MessageQueue, c.DrainTimeout = 6, 10*time.Millisecond })
	r := w.replicaWith(t, gatewayFunc(func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}))
	for i := range 6 {
		wants(t, registerOnce(t, r, i), "")
	}
	for i := range 3 {
		wants(t, registerOnce(t, r, 10+i), "OVERLOADED")
	}
	if n := query[int](t, w.owner(t), "SELECT count(*) FROM challenges"); n != 6 {
		t.Errorf("%d challenges exist, want 6", n)
	}
}

func TestCallsThatAreRefusedLeaveTheirPlaceInTheOutbox(t *testing.T) {
	w := newWorld(t, realLimits, func(c *auth.Config) { c.MessageQueue = 3 })
	r := w.replica(t)
	start := func(i int) error {
		_, err := r.StartPasswordReset(t.Context(), &authv1.StartPasswordResetRequest{PhoneNumber: number(i)})
		r.settled(t)
		return err
	}
	for range 5 {
		wants(t, start(1), "")
	}
	for range 10 {
		wants(t, start(1), "RATE_LIMITED")
	}
	wants(t, start(2), "")
	owner := w.owner(t)
	if _, err := owner.Exec(t.Context(), "ALTER TABLE challenges RENAME TO hidden"); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		wants(t, start(10+i), "INTERNAL")
	}
}

func TestClosingSendsWhatWaitsAndEndsEveryGoroutine(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) { c.PollInterval, c.MaintainInterval = time.Millisecond, time.Millisecond })
	r := w.replica(t) // first, so that what the driver keeps running is counted before
	before := runtime.NumGoroutine()
	var sent atomic.Int64
	deps := w.deps(t, r.store)
	deps.SMS = gatewayFunc(func(context.Context) error {
		time.Sleep(2 * time.Millisecond)
		sent.Add(1)
		return nil
	})
	service, err := auth.New(deps)
	if err != nil {
		t.Fatal(err)
	}
	client := w.client(t, service, r.store.Queries().Record)
	for i := range 50 {
		_, err := client.Register(t.Context(), &authv1.RegisterRequest{
			PhoneNumber: number(i), Username: "user" + number(i)[1:], Password: goodPassword,
		})
		wants(t, err, "")
	}
	service.Close()
	if sent.Load() != 50 {
		t.Errorf("%d of 50 messages were sent", sent.Load())
	}
	service.Close() // again does no harm
	eventually(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
}

func TestClosingDoesntWaitForASilentGateway(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) { c.DrainTimeout = 10 * time.Millisecond })
	s := storetest.Open(t, store.Config{URL: w.url})
	deps := w.deps(t, s)
	deps.SMS = gatewayFunc(func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	})
	service, err := auth.New(deps)
	if err != nil {
		t.Fatal(err)
	}
	client := w.client(t, service, s.Queries().Record)
	for i := range 20 {
		_, err := client.Register(t.Context(), &authv1.RegisterRequest{
			PhoneNumber: number(i), Username: "user" + number(i)[1:], Password: goodPassword,
		})
		wants(t, err, "")
	}
	service.Close()
	if failed := service.Stats().MessagesFailed; failed != 20 {
		t.Errorf("%d messages were given up, want 20", failed)
	}
}

func TestTheWebhookPostsEachMessage(t *testing.T) {
	var got struct{ To, Text string }
	var auths string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(body, &got); err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %v", r.Method, body, err)
		}
		user, password, _ := r.BasicAuth()
		auths = user + ":" + password
		w.WriteHeader(http.StatusAccepted)
	}))
	defer server.Close()
	hook, err := auth.NewWebhook(strings.Replace(server.URL, "http://", "http://tillbook:hunter2@", 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := hook.Send(t.Context(), "+628123456789", "123456 is your code"); err != nil {
		t.Fatal(err)
	}
	if got.To != "+628123456789" || got.Text != "123456 is your code" || auths != "tillbook:hunter2" {
		t.Errorf("the webhook got %+v from %q", got, auths)
	}
}

func TestTheWebhooksAnswerSaysWhetherToTryAgain(t *testing.T) {
	var status atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(int(status.Load()))
	}))
	defer server.Close()
	hook, err := auth.NewWebhook(strings.Replace(server.URL, "http://", "http://tillbook:hunter2@", 1))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[int]struct{ fails, final bool }{
		200: {false, false}, 204: {false, false}, 302: {true, false}, 307: {true, false}, 400: {true, true},
		404: {true, true}, 408: {true, false}, 429: {true, false}, 500: {true, false}, 503: {true, false},
	}
	for code, want := range tests {
		status.Store(int64(code))
		err := hook.Send(t.Context(), "+628123456789", "123456 is your code")
		if (err != nil) != want.fails || errors.Is(err, auth.ErrUndeliverable) != want.final {
			t.Errorf("%d: %v", code, err)
		}
	}
	server.Close()
	err = hook.Send(t.Context(), "+628123456789", "123456 is your code")
	if err == nil || errors.Is(err, auth.ErrUndeliverable) {
		t.Errorf("with nobody there: %v", err)
	}
	for _, secret := range []string{"hunter2", "123456", "628123456789"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error quotes %q: %v", secret, err)
		}
	}
}

func TestAWebhookMustKeepCodesSecret(t *testing.T) {
	for url, good := range map[string]bool{
		"https://sms.example.com/send":       true,
		"http://127.0.0.1:9000/send":         true,
		"http://[::1]:9000/":                 true,
		"http://localhost:9000":              true,
		"http://sms.example.com/send":        false,
		"http://localhost.example.com":       false,
		"ftp://sms.example.com":              false,
		"sms.example.com":                    false,
		"":                                   false,
		"https://user:hunter2@\x7fexample/":  false,
		"http://user:hunter2@example.com:80": false,
	} {
		_, err := auth.NewWebhook(url)
		if (err == nil) != good {
			t.Errorf("%q: %v", url, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error quotes the password: %v", err)
		}
	}
}
