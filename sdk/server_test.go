package tillbook_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	tillbook "github.com/tillbook/tillbook/sdk"
	"github.com/tillbook/tillbook/server"
	"github.com/tillbook/tillbook/store/storetest"
)

// TestMain ends the server that the examples share, if one of them began it.
func TestMain(m *testing.M) {
	code := m.Run()
	examples.end()
	if examples.failed {
		code = 1
	}
	os.Exit(code)
}

// startServer runs a replica on the database and returns its address and what
// stops it.
func startServer(t testing.TB, databaseURL, listen string) (address string, stop func()) {
	t.Helper()
	s, err := server.New(context.Background(), server.Config{
		Listen:      listen,
		DatabaseURL: databaseURL,
		MaxConns:    6,
		Sandbox:     true,
		Grace:       2 * time.Second,
		Logger:      slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with: %v", err)
		}
	})
	t.Cleanup(stop)
	return s.Addr(), stop
}

// examples is the server of the Example functions, which have no testing.T.
var examples = &exampleServer{}

type exampleServer struct {
	testing.TB // Only for what it can't be without; the methods below are used.

	begin    sync.Once
	url      string
	failed   bool
	cleanups []func()
}

// baseURL is where the examples' server is.
func baseURL() string {
	examples.begin.Do(func() {
		address, _ := startServer(examples, storetest.NewDatabase(examples), "127.0.0.1:0")
		examples.url = "http://" + address
	})
	return examples.url
}

func (e *exampleServer) end() {
	for i := len(e.cleanups) - 1; i >= 0; i-- {
		e.cleanups[i]()
	}
}

func (e *exampleServer) Helper()                   {}
func (e *exampleServer) Cleanup(f func())          { e.cleanups = append(e.cleanups, f) }
func (e *exampleServer) Fatal(args ...any)         { panic(fmt.Sprint(args...)) }
func (e *exampleServer) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }
func (e *exampleServer) Errorf(f string, a ...any) {
	e.failed = true
	fmt.Fprintf(os.Stderr, f+"\n", a...)
}

// join registers somebody with the code that the sandbox keeps and funds them.
func join(ctx context.Context, client *tillbook.Client, username, number string, funds ...string) error {
	challenge, err := client.Auth.Register(ctx, &tillbook.RegisterRequest{
		PhoneNumber: number,
		Username:    username,
		Password:    "correct horse battery",
	})
	if err != nil {
		return err
	}
	code, err := client.Sandbox.Code(ctx, number)
	if err != nil {
		return err
	}
	if _, err := client.Auth.VerifyPhone(ctx, challenge, code); err != nil {
		return err
	}
	for _, amount := range funds {
		if _, err := client.Sandbox.Fund(ctx, &tillbook.FundRequest{
			PhoneNumber: number,
			Amount:      tillbook.MustMoney(amount).Proto(),
		}); err != nil {
			return err
		}
	}
	return nil
}

// person returns a client that is signed in as somebody new.
func person(username, number string, funds ...string) *tillbook.Client {
	client, err := tillbook.New(baseURL())
	if err != nil {
		panic(err)
	}
	if err := join(context.Background(), client, username, number, funds...); err != nil {
		panic(err)
	}
	return client
}
