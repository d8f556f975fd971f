package hostile

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tillbook/tillbook/gen/tillbook/auth/v1/authv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/ledger/v1/ledgerv1connect"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
)

const (
	reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
	gzipFlag   = 1 // of a message in an envelope
	bombSize   = 512 << 20
)

// bomb is half a gigabyte of one field of a message, in half a megabyte of gzip.
var bomb = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	_, _ = w.Write(protowire.AppendVarint(protowire.AppendTag(nil, 2, protowire.BytesType), bombSize))
	zeros := make([]byte, 1<<20)
	for range bombSize / len(zeros) {
		_, _ = w.Write(zeros)
	}
	_ = w.Close()
	return b.Bytes()
})

// envelope puts a message into the frame of gRPC and of Connect's streams.
func envelope(flag byte, message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{flag}, uint32(len(message))), message...)
}

// payload is a request whose body is an attack.
type payload struct {
	door, procedure, contentType string
	headers                      []string
	body                         func() io.Reader
	length                       int64 // as declared; 0 for that of the body, -1 for none
}

// send returns the status, in which protocol it may be.
func (p payload) send(ctx context.Context, r *replica, client *http.Client, token string) string {
	ctx, cancel := context.WithTimeout(ctx, patience/2)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+r.door(p.door)+p.procedure, p.body())
	if err != nil {
		return err.Error()
	}
	if p.length != 0 {
		req.ContentLength = p.length
	}
	req.Header.Set("Content-Type", p.contentType)
	req.Header.Set("Te", "trailers")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(p.headers); i += 2 {
		req.Header.Set(p.headers[i], p.headers[i+1])
	}
	res, err := client.Do(req)
	if err != nil && ctx.Err() == nil {
		return "cut off"
	}
	if err != nil {
		return "no answer"
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if ctx.Err() != nil {
		return "no end"
	}
	for _, status := range []string{res.Trailer.Get("Grpc-Status"), res.Header.Get("Grpc-Status")} {
		if status != "" {
			return "grpc-status " + status
		}
	}
	if reason := reasonIn.FindSubmatch(body); reason != nil {
		return string(reason[1])
	}
	if status := webStatus.FindSubmatch(body); status != nil {
		return "grpc-status " + string(status[1])
	}
	return fmt.Sprintf("HTTP %d", res.StatusCode)
}

// whole returns a body that is there already.
func whole(b []byte) func() io.Reader { return func() io.Reader { return bytes.NewReader(b) } }

// zeros returns a body of zeros that is made while it is read, and counts what was.
func zeros(n int64, head []byte, read *atomic.Int64) func() io.Reader {
	return func() io.Reader {
		return io.MultiReader(bytes.NewReader(head), io.LimitReader(counting{read}, n))
	}
}

type counting struct{ n *atomic.Int64 }

func (c counting) Read(p []byte) (int, error) {
	clear(p)
	c.n.Add(int64(len(p)))
	return len(p), nil
}

// attackWith sends every payload many times at once.
func (r *replica) attackWith(ctx context.Context, t *testing.T, token string, times, parallel int, payloads map[string]payload, allowed ...string) string {
	client := h2c(t)
	var ends tally
	var attackers sync.WaitGroup
	queue := make(chan string)
	for range parallel {
		attackers.Go(func() {
			for name := range queue {
				got := payloads[name].send(ctx, r, client, token)
				ends.add(got)
				if !strings.Contains(strings.Join(allowed, "|"), got) {
					t.Errorf("%s was answered with %s", name, got)
				}
			}
		})
	}
	for range times {
		for name := range payloads {
			queue <- name
		}
	}
	close(queue)
	attackers.Wait()
	return ends.String()
}

// What is small on the wire and large when it is unpacked is refused after its
// first megabyte, in every protocol, as a call and as a stream.
func TestGzipBombsAreRefused(t *testing.T) {
	r := sandbox(t)
	token := r.customer(t, "mallory").token()
	const login, watch = authv1connect.AuthServiceLoginProcedure, walletv1connect.WalletServiceWatchWalletProcedure
	payloads := map[string]payload{}
	for _, door := range doors {
		payloads["gRPC, "+door] = payload{door, login, "application/grpc+proto", []string{"Grpc-Encoding", "gzip"}, whole(envelope(gzipFlag, bomb())), 0}
		payloads["gRPC stream, "+door] = payload{door, watch, "application/grpc+proto", []string{"Grpc-Encoding", "gzip"}, whole(envelope(gzipFlag, bomb())), 0}
		payloads["gRPC both ways, "+door] = payload{door, reflection, "application/grpc+proto", []string{"Grpc-Encoding", "gzip"}, whole(envelope(gzipFlag, bomb())), 0}
	}
	payloads["Connect"] = payload{"main", login, "application/proto", []string{"Content-Encoding", "gzip"}, whole(bomb()), 0}
	payloads["JSON"] = payload{"main", login, "application/json", []string{"Content-Encoding", "gzip"}, whole(bomb()), 0}
	payloads["Connect stream"] = payload{"main", watch, "application/connect+proto", []string{"Connect-Content-Encoding", "gzip"}, whole(envelope(gzipFlag, bomb())), 0}
	payloads["gRPC-Web"] = payload{"main", login, "application/grpc-web+proto", []string{"Grpc-Encoding", "gzip"}, whole(envelope(gzipFlag, bomb())), 0}
	payloads["gRPC-Web stream"] = payload{"main", watch, "application/grpc-web+proto", []string{"Grpc-Encoding", "gzip"}, whole(envelope(gzipFlag, bomb())), 0}
	r.withstands(t, "gzip bombs", func(ctx context.Context) string {
		times := size(3, 200)
		ends := r.attackWith(ctx, t, token, times, 64, payloads, "MESSAGE_TOO_LARGE", "grpc-status 8", "cut off")
		return fmt.Sprintf("%d bombs of %d KiB that are %d MiB, %d ways, 64 at a time: %s", times*len(payloads), len(bomb())>>10, bombSize>>20, len(payloads), ends)
	})
}

// A message that says, or is, a hundred megabytes.
func TestHugeMessagesAreRefused(t *testing.T) {
	r := sandbox(t)
	token := r.customer(t, "mallory").token()
	const login, watch = authv1connect.AuthServiceLoginProcedure, walletv1connect.WalletServiceWatchWalletProcedure
	const huge = 100 << 20
	var read atomic.Int64
	head := binary.BigEndian.AppendUint32([]byte{0}, huge)
	payloads := map[string]payload{}
	for _, door := range doors {
		payloads["gRPC, "+door] = payload{door, login, "application/grpc+proto", nil, zeros(huge, head, &read), -1}
		payloads["gRPC stream, "+door] = payload{door, watch, "application/grpc+proto", nil, zeros(huge, head, &read), -1}
		payloads["gRPC both ways, "+door] = payload{door, reflection, "application/grpc+proto", nil, zeros(huge, head, &read), -1}
	}
	payloads["Connect"] = payload{"main", login, "application/proto", nil, zeros(huge, nil, &read), huge}
	payloads["Connect, of unknown length"] = payload{"main", login, "application/proto", nil, zeros(huge, nil, &read), -1}
	payloads["JSON"] = payload{"main", login, "application/json", nil, zeros(huge, []byte(`{"phoneNumber":"`), &read), -1}
	payloads["Connect stream"] = payload{"main", watch, "application/connect+proto", nil, zeros(huge, head, &read), -1}
	payloads["gRPC-Web"] = payload{"main", login, "application/grpc-web+proto", nil, zeros(huge, head, &read), -1}
	r.withstands(t, "100 MiB messages", func(ctx context.Context) string {
		times := size(1, 50)
		ends := r.attackWith(ctx, t, token, times, 32, payloads, "MESSAGE_TOO_LARGE", "grpc-status 8", "cut off")
		n := times * len(payloads)
		// A message of unknown length is read as far as one may be long, and the window of
		// HTTP/2 lets as much again be on its way.
		if each := read.Load() / int64(n); each > 4<<20 {
			t.Errorf("the server took %d KiB of a message", each>>10)
		}
		return fmt.Sprintf("%d messages, %d ways, 32 at a time; of each the server took %d KiB: %s", n, len(payloads), read.Load()>>10/int64(n), ends)
	})
}

// Messages of the size that is allowed, whose parts take many times as much room
// when they are read as on the wire: thousands of empty items, deep nesting, and
// numbers that are short to write and long to compute.
func TestMessagesThatGrowWhenTheyAreReadAreBounded(t *testing.T) {
	r := sandbox(t)
	token := r.customer(t, "mallory").token()
	const room = 1<<20 - 64
	items := bytes.Repeat(protowire.AppendBytes(protowire.AppendTag(nil, 3, protowire.BytesType), nil), room/2)
	// A checkout has items too, and is open to whoever is signed in.
	sale := bytes.Repeat(protowire.AppendBytes(protowire.AppendTag(nil, 6, protowire.BytesType), nil), room/2)
	groups := bytes.Repeat([]byte{0x0b}, room) // a group in a group in a group
	const transfer, login = walletv1connect.WalletServiceTransferProcedure, authv1connect.AuthServiceLoginProcedure
	payloads := map[string]payload{
		"items":                            {"main", saleProcedure, "application/proto", nil, whole(sale), 0},
		"items, native door":               {"native", saleProcedure, "application/grpc+proto", nil, whole(envelope(0, sale)), 0},
		"items in JSON":                    {"main", saleProcedure, "application/json", nil, whole([]byte(`{"items":[` + strings.Repeat("{},", room/3-10) + `{}]}`)), 0},
		"an operator's items, from a user": {"main", ledgerv1connect.LedgerServicePostTransactionsProcedure, "application/proto", nil, whole(items), 0},
		"groups":                           {"main", login, "application/proto", nil, whole(groups), 0},
		"groups, native door":              {"native", login, "application/grpc+proto", nil, whole(envelope(0, groups)), 0},
		"brackets":                         {"main", login, "application/json", nil, whole([]byte(`{"x":` + strings.Repeat("[", room))), 0},
		"braces":                           {"main", login, "application/json", nil, whole([]byte(strings.Repeat(`{"x":`, room/5))), 0},
		"a number":                         {"main", transfer, "application/json", nil, whole([]byte(`{"amount":{"asset":"USD","amount":"1e999999999"}}`)), 0},
		"an exponent where none belongs":   {"main", walletv1connect.WalletServiceListTransactionsProcedure, "application/json", nil, whole([]byte(`{"pageSize":1e999999999}`)), 0},
		"digits":                           {"main", transfer, "application/json", nil, whole([]byte(`{"idempotencyKey":"k","recipient":{"username":"ada"},"amount":{"asset":"USD","amount":"` + strings.Repeat("9", room-200) + `"}}`)), 0},
		"a name":                           {"main", login, "application/json", nil, whole([]byte(`{"` + strings.Repeat("x", room) + `":1}`)), 0},
	}
	r.withstands(t, "messages that grow", func(ctx context.Context) string {
		times := size(5, 200)
		ends := r.attackWith(ctx, t, token, times, 64, payloads, "INVALID_ARGUMENT", "grpc-status 3", "grpc-status 7", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "grpc-status 8", "OVERLOADED")
		return fmt.Sprintf("%d messages, %d kinds, 64 at a time: %s", times*len(payloads), len(payloads), ends)
	})
}
