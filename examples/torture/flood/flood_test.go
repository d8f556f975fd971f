package flood

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
)

// refusal is an error in the Connect protocol.
func refusal(t *testing.T, code string, details ...proto.Message) []byte {
	t.Helper()
	type detail struct {
		Type  string `json:"type"`
		Value string `json:"value"`
	}
	list := []detail{}
	for _, d := range details {
		value, err := proto.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, detail{string(d.ProtoReflect().Descriptor().FullName()), base64.RawStdEncoding.EncodeToString(value)})
	}
	body, err := json.Marshal(map[string]any{"code": code, "message": "No.", "details": list})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

var (
	soon   = &errdetails.RetryInfo{RetryDelay: durationpb.New(time.Second)}
	unpaid = &errorv1.OutcomeInfo{Outcome: errorv1.Outcome_OUTCOME_NOT_EXECUTED}
	nobody = &errorv1.OutcomeInfo{Outcome: errorv1.Outcome_OUTCOME_UNKNOWN}
)

func TestAnAnswerIsDoneOrTurnedAwayAsItMustBe(t *testing.T) {
	for name, tt := range map[string]struct {
		kind    Kind
		status  int
		body    []byte
		fate    Fate
		settled Settled
	}{
		"shed":                            {Payment, 429, refusal(t, "resource_exhausted", soon, unpaid), Shed, Unpaid},
		"shed without when to come back":  {Payment, 429, refusal(t, "resource_exhausted", unpaid), Wrong, Unpaid},
		"a payment of which nothing said": {Payment, 429, refusal(t, "resource_exhausted", soon), Wrong, Maybe},
		"a history":                       {History, 429, refusal(t, "resource_exhausted", soon), Shed, Maybe},
		"unknown":                         {Payment, 503, refusal(t, "unavailable", soon, nobody), Unavailable, Maybe},
		"the load balancer":               {Payment, 503, []byte("<html>"), Unavailable, Maybe},
		"the load balancer gave up":       {Payment, 504, []byte("<html>"), Wrong, Maybe},
		"too late":                        {Payment, 504, refusal(t, "deadline_exceeded", unpaid), Late, Unpaid},
		"a fault":                         {Payment, 500, refusal(t, "internal", nobody), Wrong, Maybe},
	} {
		if fate, settled := judge(tt.kind, tt.status, tt.body); fate != tt.fate || settled != tt.settled {
			t.Errorf("%s: %s and %d, want %s and %d", name, fate, settled, tt.fate, tt.settled)
		}
	}
}

// server answers payments in turn with a fate each, histories with much, and watches with
// a message and then no end, but the third one with a refusal.
type server struct {
	t      *testing.T
	enough func() // is called at the two hundredth payment

	mu      sync.Mutex
	keys    []string
	watches int
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if r.Header.Get("Connect-Timeout-Ms") != "2000" || !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer token-") {
		s.t.Errorf("headers %v", r.Header)
	}
	switch r.URL.Path {
	case walletv1connect.WalletServiceTransferProcedure:
		s.pay(w, body)
	case walletv1connect.WalletServiceListTransactionsProcedure:
		_, _ = w.Write(make([]byte, 100_000))
	case walletv1connect.WalletServiceWatchWalletProcedure:
		s.mu.Lock()
		s.watches++
		n := s.watches
		s.mu.Unlock()
		if n == 3 {
			end := append(append([]byte(`{"error":`), refusal(s.t, "resource_exhausted", soon)...), '}')
			_, _ = w.Write(append([]byte{2, 0, 0, 0, 0}, end...))
			return
		}
		_, _ = w.Write([]byte{0, 0, 0, 0, 1, 7})
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}

func (s *server) pay(w http.ResponseWriter, body []byte) {
	var request walletv1.TransferRequest
	if err := proto.Unmarshal(body, &request); err != nil {
		s.t.Error(err)
	}
	n, ok := Number(request.GetNote())
	if !ok || request.GetIdempotencyKey() != "flood-"+string(digits(n)) {
		s.t.Errorf("a payment %v", &request)
	}
	s.mu.Lock()
	if s.keys = append(s.keys, request.GetIdempotencyKey()); len(s.keys) == 200 {
		s.enough()
	}
	turn := len(s.keys) % 4
	s.mu.Unlock()
	if turn == 0 {
		_, _ = w.Write([]byte("paid"))
		return
	}
	w.WriteHeader([]int{0, 429, 503, 500}[turn])
	_, _ = w.Write([][]byte{nil, refusal(s.t, "resource_exhausted", soon, unpaid), refusal(s.t, "unavailable", soon, unpaid), []byte("oops")}[turn])
}

func TestAFloodCountsWhatBecameOfEachCall(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s := &server{t: t, enough: cancel}
	h := httptest.NewUnstartedServer(s)
	h.EnableHTTP2 = true
	h.StartTLS()
	defer h.Close()
	f, err := New(t.Context(), Config{
		Site: h.URL, TLS: &tls.Config{RootCAs: h.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}, Rounds: [Kinds]int{2, 1, 1},
		Payers: []Payer{{"ann", "token-ann"}, {"bob", "token-bob"}}, Conns: 2, Timeout: 2 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tally := f.Open(ctx, 2000)
	payments := tally.Offered(Payment)
	if payments < 200 || tally.Open != 0 || tally.Counts[Payment][Silent] != 0 {
		t.Fatalf("%d payments, %+v", payments, tally)
	}
	for _, fate := range []Fate{Done, Shed, Unavailable, Wrong} {
		if n := tally.Counts[Payment][fate]; n < payments/4-1 || n > payments/4+1 {
			t.Errorf("%d of %d payments are %s", n, payments, fate)
		}
	}
	if n := tally.Counts[History][Done]; n != tally.Offered(History) || n < payments/2-2 {
		t.Errorf("%d histories", n)
	}
	if tally.Counts[Watch][Shed] != 1 || tally.Counts[Watch][Done] != tally.Offered(Watch)-1 {
		t.Errorf("watches: %v", tally.Counts[Watch])
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.Sort(s.keys)
	if len(slices.Compact(s.keys)) != payments {
		t.Error("two payments have one key")
	}
	var known [4]int
	for _, k := range f.Known() {
		known[k]++
	}
	if known[Paid] != tally.Counts[Payment][Done] || known[Unpaid] != tally.Counts[Payment][Shed]+tally.Counts[Payment][Unavailable] {
		t.Errorf("known are %v of %+v", known, tally)
	}
}

func TestAClosedLoopKeepsSoManyUnderWay(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var mu sync.Mutex
	now, most, calls, seven := 0, 0, 0, make(chan struct{})
	h := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		now++
		most = max(most, now)
		switch calls++; calls {
		case 7:
			close(seven)
		case 20:
			cancel()
		}
		mu.Unlock()
		select {
		case <-seven:
		case <-ctx.Done():
		}
		time.Sleep(5 * time.Millisecond) // what a call takes
		mu.Lock()
		now--
		mu.Unlock()
		_, _ = w.Write(nil)
	}))
	f := payAt(t, h)
	tally := f.Closed(ctx, 7)
	mu.Lock()
	defer mu.Unlock()
	if tally.Counts[Payment][Done] < 20 || tally.Offered(Payment) != tally.Counts[Payment][Done] || most != 7 {
		t.Errorf("%+v with at most %d at a time", tally, most)
	}
}

// payAt starts a server, and makes a flood of payments over one connection to it.
func payAt(t *testing.T, h *httptest.Server) *Flood {
	t.Helper()
	h.EnableHTTP2 = true
	h.StartTLS()
	t.Cleanup(h.Close)
	f, err := New(t.Context(), Config{
		Site: h.URL, TLS: &tls.Config{RootCAs: h.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}, Rounds: [Kinds]int{1, 0, 0},
		Payers: []Payer{{"ann", "token-ann"}, {"bob", "token-bob"}}, Conns: 1, Timeout: 20 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// What is done after the time is over is nothing that can be done in it.
func TestOnlyWhatIsDoneInTimeIsDoneInTime(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var f *Flood
	inTime := func() int {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.tally.InTime
	}
	var calls atomic.Int64
	h := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) > 3 {
			for cancel(); inTime() == 0 && r.Context().Err() == nil; {
				time.Sleep(time.Millisecond)
			}
		}
		_, _ = w.Write(nil)
	}))
	f = payAt(t, h)
	tally := f.Closed(ctx, 1)
	if tally.InTime != 3 || tally.Total(Done) != 4 {
		t.Errorf("%+v", tally)
	}
}

// connOf finds the connection of a request in its context.
type connOf struct{}

func TestACallWhoseConnectionEndsWasNotJustLeftWithoutAnAnswer(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	h := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = r.Context().Value(connOf{}).(net.Conn).Close()
		cancel()
	}))
	h.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connOf{}, c) }
	f := payAt(t, h)
	tally := f.Open(ctx, 1000)
	if n := tally.Counts[Payment][Wrong]; n == 0 || n != tally.Offered(Payment) || len(tally.Wrong) < 2 {
		t.Errorf("%+v", tally)
	}
	for n, k := range f.Known() {
		if k == Unpaid || k == Paid {
			t.Errorf("payment %d is known to be %d", n, k)
		}
	}
}

func TestTheBooksTellWhatClientsWereToldWrong(t *testing.T) {
	known := []Settled{Paid, Unpaid, Maybe, Maybe, Never}
	right := func() *Books {
		return &Books{Paid: map[uint32]int{0: 1, 2: 1}, Got: map[uint32]int{0: 1, 2: 1}}
	}
	for name, tt := range map[string]struct {
		wrong func(b *Books)
		want  Found
	}{
		"nothing":              {func(*Books) {}, Found{Asked: 4, Executed: 2, Unknown: 2, Resolved: 1}},
		"lost":                 {func(b *Books) { delete(b.Paid, 0); delete(b.Got, 0) }, Found{Asked: 4, Executed: 1, Unknown: 2, Resolved: 1, Lost: 1}},
		"twice":                {func(b *Books) { b.Paid[0], b.Got[0] = 2, 2 }, Found{Asked: 4, Executed: 2, Unknown: 2, Resolved: 1, Doubled: 1}},
		"twice, and unknown":   {func(b *Books) { b.Paid[2], b.Got[2] = 2, 2 }, Found{Asked: 4, Executed: 2, Unknown: 2, Doubled: 1}},
		"not executed, but is": {func(b *Books) { b.Paid[1], b.Got[1] = 1, 1 }, Found{Asked: 4, Executed: 3, Unknown: 2, Resolved: 1, Broken: 1}},
		"never sent, but is":   {func(b *Books) { b.Paid[4], b.Got[4] = 1, 1 }, Found{Asked: 4, Executed: 3, Unknown: 2, Resolved: 1, Broken: 1}},
		"on one side":          {func(b *Books) { delete(b.Got, 2) }, Found{Asked: 4, Executed: 2, Unknown: 2, Resolved: 1, OneSided: 1}},
	} {
		b := right()
		tt.wrong(b)
		if got := b.Compare(known); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}

func TestTheKindsOfARoundComeEvenly(t *testing.T) {
	var text string
	for _, k := range spread([Kinds]int{3, 2, 1}) {
		text += string("PHW"[k])
	}
	if text != "PHPWHP" && text != "PHWPHP" {
		t.Errorf("got %s", text)
	}
}
