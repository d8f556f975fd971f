package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/tillbook/tillbook/sdk"
	"github.com/tillbook/tillbook/store/storetest"
)

func TestAfterTheDemoTheServerStaysAndWhatItPrintedWorks(t *testing.T) {
	s := storetest.New(t)
	page := t.TempDir()
	if err := os.WriteFile(filepath.Join(page, "index.html"), []byte("<title>Shop</title>"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := newTranscript("go run ./examples/quickstart")
	var command sync.WaitGroup
	var failure error
	command.Go(func() {
		failure = runCommand(ctx, out, "serve", "--sandbox", "--demo", "--web-dir", page,
			"--listen", "127.0.0.1:0", "--database-url", storetest.URL(s), "--log-level", "error")
		out.close()
	})
	<-out.seen
	printed := out.String()
	if !strings.Contains(printed, out.awaited) {
		command.Wait()
		t.Fatalf("it ended early with %v", failure)
	}

	url := find(t, printed, `The server stays up at (\S+) until`)
	if body := post(t, url+"/tillbook.wallet.v1.WalletService/GetWallet", find(t, printed, `ADA=(\S+)`)); !strings.Contains(body, `"87.50"`) {
		t.Errorf("Ada's wallet is %s", body)
	}
	if !strings.Contains(printed, "Open that for a wallet and a shop counter.") || !strings.Contains(pageAt(t, url+"/shop"), "Shop") {
		t.Error("it doesn't lead to the page")
	}
	if strings.Contains(printed, "database-url") {
		t.Error("it tells how to reach a private database, which there isn't")
	}
	operator, err := tillbook.New(url, tillbook.WithOperatorKey(find(t, printed, `OPERATOR=(\S+)`)))
	if err != nil {
		t.Fatal(err)
	}
	defer operator.Close()
	if result, err := operator.Ledger.Verify(ctx); err != nil || !result.GetOk() {
		t.Errorf("the operator verifies the books: %v, %v", result, err)
	}

	cancel()
	command.Wait()
	if failure != nil {
		t.Errorf("it ended with %v", failure)
	}
	operators, err := s.Queries().ListOperators(t.Context())
	if err != nil || len(operators) != 1 || operators[0].LiveKeys != 0 {
		t.Errorf("the demo's operator is still there: %v, %v", operators, err)
	}
}

// runCommand is run with a context instead of signals.
func runCommand(ctx context.Context, stdout io.Writer, args ...string) error {
	parser, err := newParser(new(cli))
	if err != nil {
		return err
	}
	command, err := parser.Parse(args)
	if err != nil {
		return err
	}
	return command.Run(&call{ctx, stdout, io.Discard})
}

func find(t *testing.T, text, pattern string) string {
	t.Helper()
	match := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if match == nil {
		t.Fatalf("nothing matches %s in:\n%s", pattern, text)
	}
	return match[1]
}

func post(t *testing.T, url, token string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// transcript keeps what is written and says when it holds a text, or when there
// will be no more.
type transcript struct {
	awaited string
	seen    chan struct{}

	mu   sync.Mutex
	text bytes.Buffer
	once sync.Once
}

func newTranscript(awaited string) *transcript {
	return &transcript{awaited: awaited, seen: make(chan struct{})}
}

func (w *transcript) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text.Write(p)
	if strings.Contains(w.text.String(), w.awaited) {
		w.close()
	}
	return len(p), nil
}

func (w *transcript) close() { w.once.Do(func() { close(w.seen) }) }

func (w *transcript) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

func pageAt(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
