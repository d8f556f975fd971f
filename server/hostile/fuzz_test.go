package hostile

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"testing"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/tillbook/tillbook/gen/tillbook/auth/v1/authv1connect"
	"github.com/tillbook/tillbook/server"
	"github.com/tillbook/tillbook/store/storetest"
)

// inProcess runs a sandbox in this process, where the fuzzer sees what it reaches.
func inProcess(t testing.TB, url string) *replica {
	t.Helper()
	s, err := server.New(t.Context(), server.Config{
		Listen: "127.0.0.1:0", GRPCListen: "127.0.0.1:0", DatabaseURL: url, Sandbox: true, SkipMigrate: true,
		Logger: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return &replica{http: s.Addr(), grpc: s.GRPCAddr()}
}

// FuzzProcedures sends every procedure requests that are right but for some changes:
// to their fields, as whoever knows the protos makes them, and to their bytes; through
// both doors, which read them in ways of their own.
// However wrong a request is, it is the caller's fault and never the server's.
func FuzzProcedures(f *testing.F) {
	url := storetest.NewDatabase(f)
	r := inProcess(f, url)
	w := newWorld(f, url, r)
	w.replica = r
	methods := procedures(f)
	names := sortedKeys(methods)
	callers := sortedKeys(w.callers)
	for i := range names {
		f.Add(uint16(i), uint8(i), uint64(i), []byte(nil))
		f.Add(uint16(i), uint8(i+1), uint64(0), []byte{0x0a, 0x03, 'a', 'b', 0xff})
	}
	z := &fuzzed{world: w, methods: methods, names: names, callers: callers, client: h2c(f)}
	f.Fuzz(func(t *testing.T, which uint16, who uint8, seed uint64, bytewise []byte) {
		random := rand.New(rand.NewPCG(seed, uint64(which)<<8|uint64(who)))
		z.try(t, int(which), int(who), random, bytewise)
		for range mutationsPerRun - 1 {
			z.try(t, random.Int(), random.Int(), random, bytewise)
		}
	})
}

// mutationsPerRun is how many requests are made of each input of the fuzzer, whose
// own work costs about as much as some of them.
const mutationsPerRun = 8

type fuzzed struct {
	*world
	methods map[string]protoreflect.MethodDescriptor
	names   []string
	callers []string
	client  *http.Client
}

// try calls one procedure with one changed request.
func (z *fuzzed) try(t *testing.T, which, who int, random *rand.Rand, bytewise []byte) {
	t.Helper()
	procedure := z.names[which%len(z.names)]
	method := z.methods[procedure]
	if method.IsStreamingServer() && random.IntN(8) != 0 || hashes[procedure] && random.IntN(16) != 0 {
		return // These take long; they get a part of the time only.
	}
	m := &mutator{filler{ids: z.prize, bystander: z.bystander, rand: random}}
	request := m.fill(method.Input())
	for range random.IntN(4) {
		m.mutate(request, 0)
	}
	body, contentType := m.encode(request, bytewise)
	caller := z.callers[who%len(z.callers)]
	if contentType == "proto" && random.IntN(3) == 0 {
		code, answer := z.knock(t, method, procedure, caller, body)
		if code == connect.CodeInternal.String() || code == connect.CodeUnknown.String() || code == connect.CodeDataLoss.String() {
			t.Fatalf("%s as %s through the native door: %s %s\nrequest %x\n%v", procedure, caller, code, answer, body, request)
		}
		return
	}
	status, answer := send(t, z.client, z.replica, procedure, contentType, z.world.callers[caller].authorization(t), body, method.IsStreamingServer() || method.IsStreamingClient())
	busy := status == http.StatusServiceUnavailable || status == http.StatusNotImplemented || status == http.StatusGatewayTimeout
	if status >= 500 && !busy || bytes.Contains(answer, []byte(`"code":"internal"`)) || bytes.Contains(answer, []byte(`"code":"unknown"`)) {
		t.Fatalf("%s as %s: %d %s\nrequest %x\n%v", procedure, caller, status, answer, body, request)
	}
}

// knock makes a call through the native door, and returns the name of its code.
func (z *fuzzed) knock(t *testing.T, method protoreflect.MethodDescriptor, procedure, caller string, body []byte) (code, answer string) {
	t.Helper()
	d := &day{world: z.world, t: t, methods: map[string]protoreflect.MethodDescriptor{procedure: method}}
	code, answer, err := d.call(t.Context(), message{procedure: procedure, who: caller, door: "native", client: z.client, body: body})
	if err != nil {
		t.Fatalf("%s as %s through the native door: %v", procedure, caller, err)
	}
	return code, answer
}

// hashes are the procedures that hash a password.
var hashes = map[string]bool{
	authv1connect.AuthServiceRegisterProcedure: true, authv1connect.AuthServiceLoginProcedure: true,
	authv1connect.AuthServiceChangePasswordProcedure: true, authv1connect.AuthServiceCompletePasswordResetProcedure: true,
}

// send posts a request; of a stream it reads no more than the first bytes.
func send(t testing.TB, client *http.Client, r *replica, procedure, contentType, authorization string, body []byte, stream bool) (int, []byte) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if stream {
		contentType = "application/connect+" + contentType
		body = append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(body))), body...)
	} else {
		contentType = "application/" + contentType
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+r.http+procedure, bytes.NewReader(body))
	must(t, err)
	req.Header.Set("Content-Type", contentType)
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s: %v", procedure, err)
	}
	defer res.Body.Close()
	if stream && res.StatusCode == http.StatusOK {
		head := make([]byte, 4<<10)
		n, _ := res.Body.Read(head)
		return res.StatusCode, head[:n]
	}
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	must(t, err)
	return res.StatusCode, answer
}

// mutator makes requests that are nearly right.
type mutator struct{ filler }

// encode writes a request, with some of its bytes replaced if there are any for it.
func (m *mutator) encode(request *dynamicpb.Message, bytewise []byte) (body []byte, contentType string) {
	contentType = "proto"
	body, err := proto.Marshal(request)
	if m.rand.IntN(3) == 0 {
		contentType = "json"
		body, err = protojson.Marshal(request)
	}
	if err != nil { // it holds what isn't UTF-8
		return bytewise, contentType
	}
	if len(bytewise) > 0 && len(body) > 0 {
		at := m.rand.IntN(len(body))
		body = append(body[:at:at], append(bytewise, body[min(len(body), at+m.rand.IntN(3)):]...)...)
	}
	return body, contentType
}

// mutate changes something of a message or of one in it.
func (m *mutator) mutate(msg protoreflect.Message, depth int) {
	fields := msg.Descriptor().Fields()
	if fields.Len() == 0 || depth > 8 {
		return
	}
	field := fields.Get(m.rand.IntN(fields.Len()))
	switch {
	case m.rand.IntN(6) == 0:
		msg.Clear(field)
	case field.IsMap():
	case field.IsList():
		list := msg.Mutable(field).List()
		for range 1 + m.rand.IntN(4) {
			if field.Message() == nil {
				list.Append(m.value(field))
				continue
			}
			list.Append(protoreflect.ValueOfMessage(m.fill(field.Message())))
			m.mutate(list.Get(list.Len()-1).Message(), depth+1)
		}
	case field.Message() != nil:
		if m.rand.IntN(2) == 0 {
			msg.Set(field, protoreflect.ValueOfMessage(m.fill(field.Message())))
		}
		m.mutate(msg.Mutable(field).Message(), depth+1)
	default:
		msg.Set(field, m.value(field))
	}
}

var (
	strangeTexts = []string{"", "\x00", "0", "-1", "1e9", "0.000000000000000000000000000001", "99999999999999999999999999999999999999", "NaN",
		"../../etc/passwd", "' OR 1=1 --", "\u202e\u0000", "é", "usr_00000000000000000000000000", "txn_zzzzzzzzzzzzzzzzzzzzzzzzzz", "user//main/USD",
		"USD", "ETH", "+62", "+6281234567890", "Asia/Jakarta", "Local", "2026-02-30", "9999-12-31", "0000-00-00", "%s%n", "0.01", "-0.01", "external/x/USD"}
	strangeNumbers = []int64{0, 1, -1, 2, 200, 201, 1<<31 - 1, -1 << 31, 1<<62 + 1, 1<<63 - 1, -1 << 63, 253402300800, -62135596801, 1_760_000_000}
)

func pick[T any](m *mutator, of []T) T { return of[m.rand.IntN(len(of))] }

// value is something that the field's type allows.
func (m *mutator) value(field protoreflect.FieldDescriptor) protoreflect.Value {
	n := pick(m, strangeNumbers)
	switch field.Kind() {
	case protoreflect.StringKind:
		if m.rand.IntN(2) == 0 {
			if text := m.text(field, rulesOf(field).GetString()); text != "" {
				return protoreflect.ValueOfString(text)
			}
		}
		return protoreflect.ValueOfString(pick(m, strangeTexts))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(make([]byte, pick(m, []int{0, 1, 16, 31, 32, 33, 64, 65})))
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(pick(m, []int32{0, 1, 2, 3, 4, 99, -1})))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(n&1 == 1)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(n))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(n))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(uint64(n))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(n)
	default:
		return field.Default()
	}
}
