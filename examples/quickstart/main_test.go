package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	tillbook "github.com/tillbook/tillbook/sdk"
	"github.com/tillbook/tillbook/server"
	"github.com/tillbook/tillbook/store/storetest"
)

// The example is run twice, since a second run meets the first one's people.
func TestTheStoryHappensAsItIsTold(t *testing.T) {
	s, err := server.New(t.Context(), server.Config{
		Listen:      "127.0.0.1:0",
		DatabaseURL: storetest.NewDatabase(t),
		MaxConns:    6,
		Sandbox:     true,
		Logger:      slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for range 2 {
		var out bytes.Buffer
		if err := run(t.Context(), &out, "http://"+s.Addr()); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"Ana gets money from the sandbox, and has 100.00 USD.",
			"Ana pays Budi for lunch, and has 87.50 USD left.",
			"Budi sees it arrive: 12.50 USD from a", `"lunch". He has 12.50 USD.`,
			"there isn't that much, and nothing moves.",
			"leaves 87.50 USD\n", "leaves 100.00 USD\n",
		} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("missing %q in:\n%s", want, out.String())
			}
		}
	}
}

func TestAServerThatIsntThereIsExplained(t *testing.T) {
	err := run(t.Context(), io.Discard, "http://127.0.0.1:1")
	if !errors.Is(err, tillbook.ReasonUnavailable) || !strings.Contains(explain(err, "http://127.0.0.1:1"), "make run") {
		t.Errorf("got %v", err)
	}
}
