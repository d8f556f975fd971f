package tillbook_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	tillbook "github.com/tillbook/tillbook/sdk"
)

// Partners get a client, not our server's dependencies.
func TestTheDependencyTreeIsAClients(t *testing.T) {
	list := exec.Command("go", "list", "-deps", ".")
	var problems bytes.Buffer
	list.Stderr = &problems
	output, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, problems.String())
	}
	forbidden := []string{
		"database/sql", "github.com/jackc/", "github.com/lib/pq", "github.com/riverqueue/", "github.com/pressly/goose",
		"go.opentelemetry.io/", "connectrpc.com/otelconnect", "github.com/exaring/otelpgx", "github.com/prometheus/",
		"google.golang.org/grpc",
		"github.com/tillbook/tillbook/server", "github.com/tillbook/tillbook/store",
	}
	packages := strings.Fields(string(output))
	if len(packages) < 50 {
		t.Fatalf("go list names only %d packages", len(packages))
	}
	for _, p := range packages {
		for _, prefix := range forbidden {
			if p == strings.TrimSuffix(prefix, "/") || strings.HasPrefix(p, strings.TrimSuffix(prefix, "/")+"/") {
				t.Errorf("the SDK depends on %s", p)
			}
		}
	}
}

func TestEveryReasonHasAConstant(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	constants := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			if name, err := strconv.Unquote(literal.Value); err == nil {
				constants[name] = true
			}
		}
		return true
	})
	for number, name := range errorv1.ErrorReason_name {
		if number == 0 {
			continue
		}
		short := strings.TrimPrefix(name, "ERROR_REASON_")
		if !constants[short] {
			t.Errorf("%s has no constant", short)
		}
		delete(constants, short)
	}
	for name := range constants {
		t.Errorf("%s is no reason of the API", name)
	}
}

func TestOptionsOutOfBoundsAreRefused(t *testing.T) {
	for name, option := range map[string]tillbook.Option{
		"nil HTTP client":        tillbook.WithHTTPClient(nil),
		"nil trace injection":    tillbook.WithTraceContext(nil),
		"empty operator key":     tillbook.WithOperatorKey(""),
		"operator key with line": tillbook.WithOperatorKey("a\nb"),
		"user agent with line":   tillbook.WithUserAgent("a\r\nX-Evil: b"),
		"no timeout":             tillbook.WithTimeout(0),
		"negative timeout":       tillbook.WithTimeout(-time.Second),
		"negative retries":       tillbook.WithRetries(-1),
		"too many retries":       tillbook.WithRetries(11),
	} {
		if _, err := tillbook.New("https://api.example.com", option); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestBaseURLsThatCantBeMeantAreRefused(t *testing.T) {
	for _, url := range []string{
		"", "api.example.com", "127.0.0.1:8080", "ftp://example.com", "https://", "https://a:b@example.com",
		"https://example.com?x=1", "https://example.com#x", "http://[::1", "unix:///tmp/socket",
	} {
		if client, err := tillbook.New(url); err == nil {
			client.Close()
			t.Errorf("%q was accepted", url)
		}
	}
}

func TestTheUserAgentNamesTheCallerFirst(t *testing.T) {
	var got string
	catch := roundTripper(func(r *http.Request) (*http.Response, error) {
		got = r.Header.Get("User-Agent")
		return nil, http.ErrServerClosed
	})
	client, err := tillbook.New("http://tillbook.test", tillbook.WithUserAgent("acme-till/2.1"), tillbook.WithRetries(0),
		tillbook.WithHTTPClient(&http.Client{Transport: catch}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	_, _ = client.Auth.Register(t.Context(), &tillbook.RegisterRequest{})
	if !strings.HasPrefix(got, "acme-till/2.1 tillbook-go ") {
		t.Errorf("got %q", got)
	}
}
