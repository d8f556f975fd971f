package alertmanager_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tillbook/tillbook/examples/cluster/alertmanager"
	"github.com/tillbook/tillbook/examples/cluster/alerts"
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
	letters, calls := make(chan alerts.Notice, 100), make(chan alerts.Notice, 100)
	receiver, err := alerts.Listen("127.0.0.1:0", "127.0.0.1:0", func(n alerts.Notice) {
		map[string]chan alerts.Notice{alerts.Mail: letters, alerts.Webhook: calls}[n.By] <- n
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = receiver.Close() })
	url := start(t, alertmanager.Config{
		SMTP: receiver.SMTP(), From: "tillbook@example.com", To: "oncall@example.com", Webhook: receiver.WebhookURL(), Wait: "100ms",
	})

	ring(t, url, "LedgerImbalance", "page", "The balances of USD sum to 1, not to 0.")
	page := next(t, "mail", letters)
	if page.To != "oncall@example.com" || page.Subject != "[FIRING page] LedgerImbalance: The balances of USD sum to 1, not to 0." {
		t.Errorf("the mail is %+v", page)
	}
	for _, want := range []string{"not to 0.", "Why it matters.", "https://example.com/RUNBOOK.md#x", "asset: USD"} {
		if !strings.Contains(page.Text, want) {
			t.Errorf("the mail lacks %q:\n%s", want, page.Text)
		}
	}
	call := next(t, "webhook", calls)
	if call.Subject != "[FIRING] LedgerImbalance: The balances of USD sum to 1, not to 0." || !strings.Contains(call.Text, "Why it matters.") {
		t.Errorf("the webhook got %+v", call)
	}

	ring(t, url, "DiskFilling", "ticket", "/data will be full within 4 days.")
	if ticket := next(t, "mail", letters); !strings.Contains(ticket.Subject, "DiskFilling") {
		t.Errorf("the mail is %+v", ticket)
	}

	// A page after it comes by webhook, and nothing of the ticket before it.
	ring(t, url, "SealLag", "page", "Nothing is sealed.")
	if call := next(t, "webhook", calls); !strings.Contains(call.Subject, "SealLag") {
		t.Errorf("the webhook got %+v", call)
	}
	checkShown(t, receiver)

	// Of what follows from something worse nobody is told.
	ring(t, url, "NoPrimary", "page", "There is no primary.")
	if call := next(t, "webhook", calls); !strings.Contains(call.Subject, "NoPrimary") {
		t.Errorf("the webhook got %+v", call)
	}
	ring(t, url, "EventLag", "page", "Watches are stale.")
	time.Sleep(time.Second) // far longer than alerts are collected for
	ring(t, url, "LedgerQueueFull", "page", "The queue is full.")
	if call := next(t, "webhook", calls); !strings.Contains(call.Subject, "LedgerQueueFull") {
		t.Errorf("the webhook got %+v", call)
	}
}

// checkShown finds on the receiver's page what came by both ways.
func checkShown(t *testing.T, receiver *alerts.Receiver) {
	t.Helper()
	res, err := http.Get(receiver.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	shown, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"mail to oncall@example.com", "webhook", "[FIRING page] LedgerImbalance", "[FIRING] SealLag"} {
		if !strings.Contains(string(shown), want) {
			t.Errorf("the page lacks %q:\n%s", want, shown)
		}
	}
}
