package hostile

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tillbook/tillbook/gen/tillbook/auth/v1/authv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/ledger/v1/ledgerv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/limit/v1/limitv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/terminal/v1/terminalv1connect"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/storetest"
)

// seed makes the day's messages again, but for the ids in them, which the database
// makes anew.
var seed = flag.Uint64("seed", 0, "make the mutated messages of an earlier run")

// aDay is 24 hours of ten messages a second.
const aDay = 24 * 60 * 60 * 10

// TestADayOfMutationsHurtsNobody sends a day's worth of messages that are right but
// for what was done to their fields and bytes: every procedure, as everybody, through
// both doors. However wrong one is, that is its sender's fault and never the server's,
// and the books balance afterwards, since some of them are right enough to pay.
func TestADayOfMutationsHurtsNobody(t *testing.T) {
	if !*full { // whose figures are of this attack alone
		t.Parallel()
	}
	url := storetest.NewDatabase(t)
	r := startReplica(t, url, "--sandbox")
	w := newWorld(t, url, r)
	w.replica = r
	d := newDay(t, w)
	if d.seed == 0 {
		d.seed = rand.Uint64()
	}
	t.Logf("go test ./server/hostile -run %s -seed %d%s makes these messages again", t.Name(), d.seed, size("", " -full -timeout 30m"))
	messages := int64(size(500, aDay))
	r.withstands(t, "a day of mutations", func(ctx context.Context) string {
		start := time.Now()
		d.send(ctx, messages)
		return fmt.Sprintf("%d messages, which is %.1f hours of ten a second, in %s, of %d procedures as %d callers, spoilt in %d ways, seed %d: %s",
			d.sent.Load(), float64(d.sent.Load())/36_000, time.Since(start).Round(time.Second), len(d.names), len(d.callers), len(d.ways), d.seed, &d.codes)
	})
	if n := d.sent.Load(); n != messages {
		t.Errorf("%d of %d messages were sent", n, messages)
	}
	for _, code := range []string{"ok", "invalid_argument", "not_found"} {
		if d.codes.count(code) == 0 {
			t.Errorf("no message was answered with %s: they don't get far", code)
		}
	}
	if n := int64(d.codes.count("unauthenticated")); n > messages/4 {
		t.Errorf("%d messages were of callers who aren't any more", n)
	}
	r.balances(t, url)
}

// balances has the program verify the books.
func (r *replica) balances(t testing.TB, url string) {
	t.Helper()
	path, err := program()
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), size(patience, 5*time.Minute))
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "verify", "--database-url", url).CombinedOutput()
	if err != nil {
		t.Errorf("the books: %v\n%s", err, out)
	}
	t.Logf("verify: %s", out)
}

// day sends mutated messages.
type day struct {
	*world
	t       testing.TB
	seed    uint64
	methods map[string]protoreflect.MethodDescriptor
	names   []string // of the procedures
	callers []string
	ways    []string         // of spoiling bytes
	clients [][]*http.Client // by door, one a connection
	sent    atomic.Int64
	codes   tally
	failed  atomic.Int64
}

const (
	// dayConnections is how many connections there are to each door.
	dayConnections = 4
	// dayCallers is how many messages are under way at once.
	dayCallers = 48
	// watched is how long a stream is looked at.
	watched = 100 * time.Millisecond
	// enough is how many failures are told.
	enough = 20
)

func newDay(t testing.TB, w *world) *day {
	d := &day{world: w, t: t, seed: *seed, methods: procedures(t), callers: sortedKeys(w.callers), ways: sortedKeys(corruptions)}
	d.names = sortedKeys(d.methods)
	for range doors {
		var all []*http.Client
		for range dayConnections {
			all = append(all, h2c(t))
		}
		d.clients = append(d.clients, all)
	}
	return d
}

// send sends messages, numbered from zero.
func (d *day) send(ctx context.Context, messages int64) {
	var senders sync.WaitGroup
	var next atomic.Int64
	for range dayCallers {
		senders.Go(func() {
			for n := next.Add(1) - 1; n < messages && d.failed.Load() < enough && ctx.Err() == nil; n = next.Add(1) - 1 {
				d.try(ctx, d.message(n))
			}
		})
	}
	senders.Wait()
}

// message is one of a day's.
type message struct {
	n                    int64
	procedure, who, door string
	client               *http.Client
	spoilt               string // how
	body                 []byte
}

// rarely is of how many messages one goes to a procedure that takes long: one that
// hashes passwords, or is a stream.
func (d *day) rarely(procedure string) int {
	switch {
	case hashes[procedure], d.methods[procedure].IsStreamingServer():
		return 32
	default:
		return 1
	}
}

// message makes the n-th, of its own random numbers, so that it is the same whoever
// sends it and when.
func (d *day) message(n int64) message {
	random := rand.New(rand.NewPCG(d.seed, uint64(n)))
	procedure := d.names[random.IntN(len(d.names))]
	for random.IntN(d.rarely(procedure)) != 0 {
		procedure = d.names[random.IntN(len(d.names))]
	}
	door := random.IntN(len(doors))
	m := &mutator{filler{ids: d.prize, bystander: d.bystander, rand: random}}
	msg := message{
		n: n, procedure: procedure, who: d.caller(m, procedure),
		door: doors[door], client: d.clients[door][random.IntN(dayConnections)],
	}
	if random.IntN(2) == 0 {
		m.ids = maps.Clone(d.prize)
		maps.Copy(m.ids, d.own)
	}
	msg.body, msg.spoilt = d.spoil(m, procedure)
	if harmful[procedure] {
		msg.body = append([]byte{neverRight}, msg.body...)
	}
	return msg
}

// mayCall are those whom the policy of a procedure lets in, by what it says.
var mayCall = map[rpc.Access][]string{
	rpc.User:     {"a user", "another user", "another merchant's owner", "another merchant's manager", "another merchant's cashier"},
	rpc.Operator: {"an operator"},
	rpc.Terminal: {"another merchant's terminal"},
}

// caller is mostly one who is let in, so that the request is read, and else anybody.
func (d *day) caller(m *mutator, procedure string) string {
	if who := mayCall[rpc.Policies[procedure].Access]; len(who) > 0 && m.rand.IntN(4) != 0 {
		return pick(m, who)
	}
	return pick(m, d.callers)
}

// harmful are procedures that, when a request is right, rightly take from others what
// they need for theirs: a session, a terminal, the right to pay, the database's time.
// Of these, none is.
var harmful = map[string]bool{
	authv1connect.AuthServiceLogoutProcedure:                 true,
	authv1connect.AuthServiceChangePasswordProcedure:         true,
	terminalv1connect.TerminalServiceRevokeTerminalProcedure: true,
	ledgerv1connect.LedgerServiceVerifyProcedure:             true,
	limitv1connect.LimitServiceSetLimitProcedure:             true,
}

// neverRight is a tag that no message may have: of field 0, and of no kind.
const neverRight = 0x07

// spoil makes a request that is right and then changes its fields, its bytes, or
// both; or takes another procedure's.
func (d *day) spoil(m *mutator, procedure string) (body []byte, how string) {
	input := d.methods[procedure].Input()
	of := procedure
	if m.rand.IntN(len(d.ways)+1) == 0 {
		of, how = d.names[m.rand.IntN(len(d.names))], "another's request"
	}
	request := m.fill(d.methods[of].Input())
	stable := proto.MarshalOptions{Deterministic: true}
	right, err := stable.Marshal(request)
	must(d.t, err)
	fields := m.rand.IntN(3)
	for range fields {
		m.mutate(request, 0)
	}
	if changed, err := stable.Marshal(request); err == nil { // else it holds what isn't UTF-8
		right = changed
	}
	if how != "" || fields > 0 && m.rand.IntN(3) == 0 {
		return right, how
	}
	for range 1 + m.rand.IntN(2) {
		way := d.ways[m.rand.IntN(len(d.ways))]
		right, how = corruptions[way](m, input, bytes.Clone(right)), strings.TrimPrefix(how+" and "+way, " and ")
	}
	return right[:min(len(right), 1<<20-1)], how
}

// try sends a message and counts what it is answered.
func (d *day) try(ctx context.Context, m message) {
	code, answer, err := d.call(ctx, m)
	d.sent.Add(1)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		code, answer = "no answer", err.Error()
	case code != connect.CodeInternal.String() && code != connect.CodeUnknown.String() && code != connect.CodeDataLoss.String():
		d.codes.add(code)
		return
	}
	d.codes.add(code)
	if d.failed.Add(1) <= enough {
		d.t.Errorf("message %d of seed %d, %s as %s through the %s door, with %s, was answered with %s: %q\n%x", m.n, d.seed, m.procedure, m.who, m.door, m.spoilt, code, answer, m.body)
	}
}

// call makes a call in Connect through the main door, or in gRPC through the native
// one. It returns the name of a code.
func (d *day) call(ctx context.Context, m message) (code, answer string, err error) {
	method := d.methods[m.procedure]
	stream := method.IsStreamingServer() || method.IsStreamingClient()
	within := patience
	if stream {
		within = watched
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	body, contentType := m.body, "application/proto"
	switch {
	case m.door == "native":
		body, contentType = envelope(0, body), "application/grpc+proto"
	case stream:
		body, contentType = envelope(0, body), "application/connect+proto"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+d.replica.door(m.door)+m.procedure, bytes.NewReader(body))
	if err != nil {
		return "", "", err
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Te", "trailers")
	if authorization := d.world.callers[m.who].authorization(d.t); authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	res, err := m.client.Do(req)
	if stream && errors.Is(err, context.DeadlineExceeded) {
		return "ok", "", nil // it is open, and nothing happens
	}
	if err != nil {
		return "", "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil && (!stream || !errors.Is(err, context.DeadlineExceeded)) {
		return "", string(text), err
	}
	code, err = codeOf(res, text)
	return code, string(text) + res.Trailer.Get("Grpc-Message") + res.Header.Get("Grpc-Message"), err
}

// codeIn finds the code in the JSON of an error, also in the last frame of a stream.
var codeIn = regexp.MustCompile(`"code":\s*"([a-z_]+)"`)

// codeOf reads the code of an answer; "ok" if it is none of an error.
func codeOf(res *http.Response, text []byte) (string, error) {
	for _, status := range []string{res.Trailer.Get("Grpc-Status"), res.Header.Get("Grpc-Status")} {
		if status == "" {
			continue
		}
		n, err := strconv.Atoi(status)
		if n == 0 || err != nil {
			return "ok", err
		}
		return connect.Code(n).String(), nil
	}
	if found := codeIn.FindSubmatch(text); found != nil && res.Header.Get("Content-Type") != "application/proto" {
		return string(found[1]), nil
	}
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("HTTP %d", res.StatusCode)
	}
	return "ok", nil
}
