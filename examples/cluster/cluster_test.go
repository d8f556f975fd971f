//go:build cluster

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	tillbook "github.com/tillbook/tillbook/sdk"

	"github.com/tillbook/tillbook/examples/cluster/stack"
	"github.com/tillbook/tillbook/examples/cluster/traffic"
)

const transferProcedure = "/tillbook.wallet.v1.WalletService/Transfer"

// clientsTrace is the id of the trace that a client has begun.
const clientsTrace = "4bf92f3577b34da6a3ce929d0e0e4736"

// bound is how long any wait of the test may take.
const bound = 90 * time.Second

func TestAClusterServesEveryProtocolAndOutlivesItsPrimary(t *testing.T) {
	program := filepath.Join(t.TempDir(), "tillbook")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", program, "../../server/cmd/tillbook").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	s, err := stack.Start(within(t), stack.Options{Binary: program, Etcd: 3, HAProxy: true, Prometheus: true, Traces: true, Proxied: true})
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	t.Cleanup(func() {
		if !stopped {
			_ = s.Close()
		}
	})

	c := signUp(t, s)
	t.Run("gRPC, native door", func(t *testing.T) { c.check(t, c.payGRPC(t, s.Native())) })
	t.Run("gRPC, main door", func(t *testing.T) { c.check(t, c.payGRPC(t, strings.TrimPrefix(s.URL(), "https://"))) })
	t.Run("gRPC-Web", func(t *testing.T) { c.check(t, c.payWeb(t)) })
	t.Run("Connect with JSON over HTTP/2", func(t *testing.T) { c.check(t, c.payJSON(t, c.http)) })
	t.Run("Connect with JSON over HTTP/1.1", func(t *testing.T) {
		one := &http.Client{Transport: &http.Transport{TLSClientConfig: s.TLS(), Protocols: only1()}}
		c.check(t, c.payJSON(t, one))
		one.CloseIdleConnections()
	})

	t.Run("what is for operators", func(t *testing.T) { c.checkHidden(t) })

	checkSeen(t, s)
	checkBalance(t, s)
	checkLoopback(t, s)
	useAsPrinted(t, s, program)

	users, err := traffic.Start(within(t), traffic.Options{URL: s.URL(), Native: s.Native(), TLS: s.TLS()})
	if err != nil {
		t.Fatal(err)
	}
	if err := users.Await(within(t), 50); err != nil {
		t.Fatal(err)
	}
	if users.Failed() != 0 {
		t.Fatalf("calls failed before anything broke: %v", users.Stop(within(t)).Errors)
	}
	primary, err := s.Primary(within(t))
	if err != nil {
		t.Fatal(err)
	}
	primary.KillPostgres()
	if _, err := s.AwaitPrimary(within(t), primary); err != nil {
		t.Fatal(err)
	}
	if err := users.Await(within(t), 100); err != nil {
		t.Fatal(err)
	}
	r := users.Stop(within(t))
	t.Logf("%d calls, %d failed while there was no primary, %d lost, %d doubled", r.Calls, r.Failed, r.Lost, r.Doubled)
	if r.Lost+r.Doubled != 0 {
		t.Errorf("%+v", r)
	}
	checkTold(t, s)
	breakAsPrinted(t, s)
	if err := s.Verify(within(t), program); err != nil {
		t.Error(err)
	}
	checkGone(t, s)
	stopped = true
}

// client is somebody who pays somebody, without the SDK's help.
type client struct {
	*tillbook.Client
	stack *stack.Stack
	http  *http.Client
	payee string
	paid  int
}

func signUp(t *testing.T, s *stack.Stack) *client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: s.TLS(), ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	c := &client{stack: s, http: &http.Client{Transport: transport}, payee: "payee"}
	for i, name := range []string{c.payee, "payer"} {
		var err error
		if c.Client, err = tillbook.New(s.URL(), tillbook.WithHTTPClient(c.http)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Client.Close)
		number := fmt.Sprintf("+62812400000%02d", i)
		challenge, err := c.Auth.Register(within(t), &tillbook.RegisterRequest{PhoneNumber: number, Username: name, Password: "correct horse battery"})
		must(t, err)
		code, err := c.Sandbox.Code(within(t), number)
		must(t, err)
		_, err = c.Auth.VerifyPhone(within(t), challenge, code)
		must(t, err)
		_, err = c.Sandbox.Fund(within(t), &tillbook.FundRequest{PhoneNumber: number, Amount: tillbook.MustMoney("100 USD").Proto()})
		must(t, err)
	}
	return c
}

func (c *client) request() *walletv1.TransferRequest {
	c.paid++
	return &walletv1.TransferRequest{
		IdempotencyKey: fmt.Sprint("payment-", c.paid), Recipient: tillbook.ToUsername(c.payee), Amount: tillbook.MustMoney("1 USD").Proto(),
	}
}

func (c *client) token() string { return "Bearer " + c.Session().GetAccessToken() }

// check finds that what is left is what the payments say.
func (c *client) check(t *testing.T, balance string) {
	t.Helper()
	if want := fmt.Sprintf("%d.00", 100-c.paid); balance != want {
		t.Errorf("the balance is %q, want %q", balance, want)
	}
}

func (c *client) payGRPC(t *testing.T, address string) string {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(c.stack.TLS())))
	must(t, err)
	defer conn.Close()
	var header metadata.MD
	res := &walletv1.TransferResponse{}
	ctx := metadata.AppendToOutgoingContext(within(t), "authorization", c.token())
	must(t, conn.Invoke(ctx, transferProcedure, c.request(), res, grpc.Header(&header)))
	checkRequestID(t, strings.Join(header.Get("x-request-id"), ","))
	return res.GetTransaction().GetBalanceAfter().GetAmount()
}

func (c *client) post(t *testing.T, client *http.Client, kind string, body []byte) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t), http.MethodPost, c.stack.URL()+transferProcedure, bytes.NewReader(body))
	must(t, err)
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Authorization", c.token())
	// What a client says of itself counts for nothing.
	req.Header.Set("X-Request-Id", "mine")
	req.Header.Set("Traceparent", "00-"+clientsTrace+"-00f067aa0ba902b7-01")
	res, err := client.Do(req)
	must(t, err)
	defer res.Body.Close()
	if spoken := map[bool]int{true: 2, false: 1}[client == c.http]; res.ProtoMajor != spoken {
		t.Errorf("HAProxy answers over HTTP/%d, not over HTTP/%d", res.ProtoMajor, spoken)
	}
	answer, err := io.ReadAll(res.Body)
	must(t, err)
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", res.Status, answer)
	}
	checkRequestID(t, res.Header.Get("X-Request-Id"))
	return answer
}

// checkHidden finds that those who come through the load balancer see neither probes nor
// metrics.
func (c *client) checkHidden(t *testing.T) {
	t.Helper()
	for path, want := range map[string]int{
		"/healthz": http.StatusOK, "/metrics": http.StatusNotFound, "/%6detrics": http.StatusNotFound, "/%72eadyz": http.StatusNotFound,
	} {
		res, err := c.http.Get(c.stack.URL() + path)
		must(t, err)
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s answers %s", path, res.Status)
		}
	}
}

// checkRequestID finds the one that the load balancer made: it begins with the client's
// address.
func checkRequestID(t *testing.T, id string) {
	t.Helper()
	if !strings.HasPrefix(id, "7F000001") {
		t.Errorf("the request's id is %q, which the load balancer didn't make", id)
	}
}

func (c *client) payJSON(t *testing.T, client *http.Client) string {
	t.Helper()
	r := c.request()
	body := fmt.Sprintf(`{"idempotency_key": %q, "recipient": {"username": %q}, "amount": {"asset": "USD", "amount": "1"}}`, r.GetIdempotencyKey(), c.payee)
	var answer struct {
		Transaction struct{ BalanceAfter struct{ Amount string } }
	}
	must(t, json.Unmarshal(c.post(t, client, "application/json", []byte(body)), &answer))
	return answer.Transaction.BalanceAfter.Amount
}

func (c *client) payWeb(t *testing.T) string {
	t.Helper()
	message, err := proto.Marshal(c.request())
	must(t, err)
	frame := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
	answer := c.post(t, c.http, "application/grpc-web+proto", frame)
	if len(answer) < 5 || answer[0] != 0 {
		t.Fatalf("no message came back: %q", answer)
	}
	size := binary.BigEndian.Uint32(answer[1:5])
	res := &walletv1.TransferResponse{}
	must(t, proto.Unmarshal(answer[5:5+size], res))
	if trailer := string(answer[5+size:]); !strings.Contains(strings.ToLower(trailer), "grpc-status: 0") {
		t.Errorf("the trailer is %q", trailer)
	}
	return res.GetTransaction().GetBalanceAfter().GetAmount()
}

// checkSeen finds what happened in Prometheus, on the page of alerts and
// among the traces.
func checkSeen(t *testing.T, s *stack.Stack) {
	t.Helper()
	eventually(t, func() error {
		trace := get(t, s.TracesURL()+"/trace/"+clientsTrace)
		for _, want := range []string{"WalletService/Transfer", "ledger.batch", "COMMIT"} {
			if !strings.Contains(trace, want) {
				return fmt.Errorf("the client's trace has no %s: %s", want, trace)
			}
		}
		// Three replicas, three nodes, three members of etcd, HAProxy and the disks.
		for query, want := range map[string]string{
			"count(up==1)": "11", "count(ALERTS{alertstate=\"firing\"}) or vector(0)": "0",
			"count(node_filesystem_avail_bytes)>bool 0": "1", "count(db_standby_staleness_milliseconds)>bool 0": "1", "max(db_standbys)": "2",
		} {
			answer := get(t, s.PrometheusURL()+"/api/v1/query?query="+url.QueryEscape(query))
			if !strings.Contains(answer, `"`+want+`"`) {
				return fmt.Errorf("%s is not %s: %s", query, want, answer)
			}
		}
		rules := get(t, s.PrometheusURL()+"/api/v1/rules")
		if !strings.Contains(rules, `"health":"ok"`) || strings.Contains(rules, `"health":"err"`) {
			return fmt.Errorf("not all rules can be evaluated: %s", rules)
		}
		if told := get(t, s.PrometheusURL()+"/api/v1/alertmanagers"); !strings.Contains(told, s.AlertmanagerURL()) {
			return fmt.Errorf("Prometheus tells nobody of alerts: %s", told)
		}
		return nil
	})
	if page := get(t, s.AlertsURL()); !strings.Contains(page, "<h1>Alerts</h1>") {
		t.Errorf("the page of alerts is %s", page)
	}
}

// checkGone closes the stack and finds nothing of it.
func checkGone(t *testing.T, s *stack.Stack) {
	t.Helper()
	pids := []int{}
	for _, r := range s.Replicas(stack.Blue) {
		pids = append(pids, r.PID())
	}
	for _, n := range s.Nodes() {
		pids = append(append(pids, n.PID()), n.Family()...)
	}
	for _, e := range s.EtcdMembers() {
		pids = append(pids, e.PID())
	}
	pids = append(pids, s.HAProxy().PID())
	must(t, s.Close())
	for _, pid := range pids {
		// One that has ended is there until its adoptive parent has asked about it.
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && !strings.Contains(string(stat), ") Z ") {
			t.Errorf("process %d is still there: %s", pid, stat)
		}
	}
	if _, err := os.Stat(s.Dir()); err == nil {
		t.Errorf("%s is still there", s.Dir())
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	must(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	must(t, err)
	return string(text)
}

func eventually(t *testing.T, check func() error) {
	t.Helper()
	ctx := within(t)
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			t.Fatal(err)
		}
	}
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	t.Cleanup(cancel)
	return ctx
}

func only1() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
