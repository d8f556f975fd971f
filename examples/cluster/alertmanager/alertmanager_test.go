package alertmanager_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tillbook/tillbook/examples/cluster/alertmanager"
)

// program finds what Debian's packages install.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s isn't installed: run `make install-prometheus`, or install the packages prometheus and prometheus-alertmanager", name)
	}
	return path
}

// letter is a mail as it came.
type letter struct{ to, subject, text string }

// mailbox is an SMTP server that keeps what it gets.
func mailbox(t *testing.T) (addr string, letters <-chan letter) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	got := make(chan letter, 100)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if err := talk(conn, got); err != nil {
					t.Logf("SMTP: %v", err)
				}
			}()
		}
	}()
	return listener.Addr().String(), got
}

// talk takes mail from one client, as far as RFC 5321 needs it.
func talk(conn net.Conn, got chan<- letter) error {
	in := bufio.NewReader(conn)
	fmt.Fprint(conn, "220 test\r\n")
	for to := ""; ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil // it left
		}
		switch verb := strings.ToUpper(strings.Fields(line + " .")[0]); verb {
		case "RCPT":
			to = strings.TrimSpace(line)
			fmt.Fprint(conn, "250 OK\r\n")
		case "DATA":
			fmt.Fprint(conn, "354 go on\r\n")
			var text bytes.Buffer
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					return err
				}
				if line == ".\r\n" {
					break
				}
				text.WriteString(strings.TrimPrefix(line, "."))
			}
			l, err := read(&text)
			if err != nil {
				return err
			}
			l.to = to
			got <- l
			fmt.Fprint(conn, "250 OK\r\n")
		case "QUIT":
			fmt.Fprint(conn, "221 bye\r\n")
			return nil
		default:
			fmt.Fprint(conn, "250 OK\r\n")
		}
	}
}

func read(r io.Reader) (l letter, err error) {
	m, err := mail.ReadMessage(r)
	if err != nil {
		return l, err
	}
	if l.subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		return l, err
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return l, err
	}
	part, err := multipart.NewReader(m.Body, params["boundary"]).NextRawPart()
	if err != nil {
		return l, err
	}
	text, err := io.ReadAll(quotedprintable.NewReader(part))
	l.text = string(text)
	return l, err
}

// hook is a webhook's receiver.
func hook(t *testing.T) (url string, calls <-chan string) {
	t.Helper()
	got := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- string(body)
	}))
	t.Cleanup(server.Close)
	return server.URL, got
}

// start runs Alertmanager with our configuration until the test ends.
func start(t *testing.T, cfg alertmanager.Config) (url string) {
	t.Helper()
	path, err := alertmanager.Write(t.TempDir(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(program(t, "amtool"), "check-config", path).CombinedOutput(); err != nil {
		t.Fatalf("amtool: %v\n%s", err, out)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	_ = listener.Close() // Alertmanager takes no open one
	cmd := exec.Command(program(t, "prometheus-alertmanager"), "--config.file", path, "--storage.path", t.TempDir(),
		"--web.listen-address", addr, "--cluster.listen-address", "")
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	url = "http://" + addr
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		res, err := http.Get(url + "/-/ready")
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return url
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("Alertmanager doesn't come up: %v", err)
		}
	}
}

// ring posts an alert as Prometheus does.
func ring(t *testing.T, url, name, severity, summary string) {
	t.Helper()
	body, err := json.Marshal([]map[string]any{{
		"labels":      map[string]string{"alertname": name, "severity": severity, "asset": "USD"},
		"annotations": map[string]string{"summary": summary, "description": "Why it matters.", "runbook_url": "https://example.com/RUNBOOK.md#x"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Post(url+"/api/v2/alerts", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("posting an alert: %s", res.Status)
	}
}

func next[T any](t *testing.T, what string, from <-chan T) (v T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	select {
	case v = <-from:
	case <-ctx.Done():
		t.Fatalf("no %s came", what)
	}
	return v
}

func TestPagesComeByMailAndWebhookAndTicketsByMail(t *testing.T) {
	smtp, letters := mailbox(t)
	webhook, calls := hook(t)
	url := start(t, alertmanager.Config{
		SMTP: smtp, From: "tillbook@example.com", To: "oncall@example.com", Webhook: webhook, Wait: "100ms",
	})

	ring(t, url, "LedgerImbalance", "page", "The balances of USD sum to 1, not to 0.")
	page := next(t, "mail", letters)
	if page.to != "RCPT TO:<oncall@example.com>" || page.subject != "[FIRING page] LedgerImbalance: The balances of USD sum to 1, not to 0." {
		t.Errorf("the mail is %+v", page)
	}
	for _, want := range []string{"not to 0.", "Why it matters.", "https://example.com/RUNBOOK.md#x", "asset: USD"} {
		if !strings.Contains(page.text, want) {
			t.Errorf("the mail lacks %q:\n%s", want, page.text)
		}
	}
	if call := next(t, "webhook", calls); !strings.Contains(call, `"alertname":"LedgerImbalance"`) || !strings.Contains(call, "not to 0.") {
		t.Errorf("the webhook got %s", call)
	}

	ring(t, url, "DiskFilling", "ticket", "/data will be full within 4 days.")
	if ticket := next(t, "mail", letters); !strings.Contains(ticket.subject, "DiskFilling") {
		t.Errorf("the mail is %+v", ticket)
	}

	// A page after it comes by webhook, and nothing of the ticket before it.
	ring(t, url, "SealLag", "page", "Nothing is sealed.")
	if call := next(t, "webhook", calls); !strings.Contains(call, `"alertname":"SealLag"`) {
		t.Errorf("the webhook got %s", call)
	}
}
