package tillbook_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	tillbook "github.com/tillbook/tillbook/sdk"
)

type watchStream = walletv1connect.WalletServiceWatchWalletServerStream

// history is a wallet whose transactions are numbered from 1; a resume token is
// the number of the last one seen.
type history struct{ length int }

// serve sends the snapshot or what follows the token, and goes on until broken
// says otherwise, which is asked before each message.
func (h history) serve(r *walletv1.WatchWalletRequest, s watchStream, broken func() error) error {
	next := 1
	if token := r.GetResumeToken(); token != "" {
		seen, err := strconv.Atoi(token)
		if err != nil {
			return failure(connect.CodeInvalidArgument, errorv1.ErrorReason_ERROR_REASON_RESUME_TOKEN_INVALID)
		}
		next = seen + 1
	} else {
		if err := broken(); err != nil {
			return err
		}
		if err := s.Send(snapshot()); err != nil {
			return err
		}
	}
	for ; next <= h.length; next++ {
		if err := broken(); err != nil {
			return err
		}
		if err := s.Send(change(next)); err != nil {
			return err
		}
	}
	return nil
}

func snapshot() *walletv1.WatchWalletResponse {
	return &walletv1.WatchWalletResponse{
		Event:       &walletv1.WatchWalletResponse_Snapshot_{Snapshot: &walletv1.WatchWalletResponse_Snapshot{}},
		ResumeToken: "0",
	}
}

func change(n int) *walletv1.WatchWalletResponse {
	return &walletv1.WatchWalletResponse{
		Event: &walletv1.WatchWalletResponse_Change_{Change: &walletv1.WatchWalletResponse_Change{
			Transaction: &walletv1.Transaction{TransactionId: fmt.Sprint(n)},
		}},
		ResumeToken: strconv.Itoa(n),
	}
}

func heartbeat(token string) *walletv1.WatchWalletResponse {
	return &walletv1.WatchWalletResponse{
		Event:       &walletv1.WatchWalletResponse_Heartbeat_{Heartbeat: &walletv1.WatchWalletResponse_Heartbeat{}},
		ResumeToken: token,
	}
}

// collect watches until the transaction with the number last came.
func collect(t *testing.T, client *tillbook.Client, last int) []string {
	t.Helper()
	var got []string
	for event, err := range client.Wallet.Watch(t.Context()) {
		if err != nil {
			t.Fatalf("after %v: %v", got, err)
		}
		if event.GetSnapshot() != nil {
			got = append(got, "snapshot")
			continue
		}
		id := event.GetChange().GetTransaction().GetTransactionId()
		got = append(got, id)
		if id == fmt.Sprint(last) {
			break
		}
	}
	return got
}

func wantHistory(t *testing.T, got []string, last int) {
	t.Helper()
	want := []string{"snapshot"}
	for n := 1; n <= last; n++ {
		want = append(want, fmt.Sprint(n))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// However streams end, a watch misses nothing and repeats nothing.
func TestAWatchGoesOnWhereItWas(t *testing.T) {
	ends := map[string]func() error{
		"moved": func() error {
			return failure(connect.CodeUnavailable, errorv1.ErrorReason_ERROR_REASON_STREAM_MOVED)
		},
		"unavailable": func() error {
			return failure(connect.CodeUnavailable, errorv1.ErrorReason_ERROR_REASON_UNAVAILABLE)
		},
		"overloaded": func() error {
			return failure(connect.CodeResourceExhausted, errorv1.ErrorReason_ERROR_REASON_OVERLOADED, retryAfter(time.Second))
		},
		"token expired": func() error {
			return failure(connect.CodeUnauthenticated, errorv1.ErrorReason_ERROR_REASON_TOKEN_EXPIRED)
		},
		"connection lost": func() error { panic(http.ErrAbortHandler) },
		"ended":           func() error { return errEnded },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const last = 50
				random := rand.New(rand.NewPCG(1, 2))
				f := &fake{}
				f.watch = func(_ context.Context, r *walletv1.WatchWalletRequest, s watchStream) error {
					return until(history{last}.serve(r, s, func() error {
						if random.IntN(5) == 0 {
							return end()
						}
						return nil
					}))
				}
				wantHistory(t, collect(t, f.signedIn(t), last), last)
				if n := f.count(walletv1connect.WalletServiceWatchWalletProcedure); n < 5 {
					t.Errorf("the stream ended only %d times: nothing was tested", n)
				}
				if refreshed := len(f.refreshes) > 0; refreshed != (name == "token expired") {
					t.Errorf("refreshed %d times", len(f.refreshes))
				}
			})
		})
	}
}

// errEnded stands for a stream that ends without an error.
var errEnded = errors.New("ended")

func until(err error) error {
	if errors.Is(err, errEnded) {
		return nil
	}
	return err
}

func TestASilentStreamIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		f.watch = func(ctx context.Context, r *walletv1.WatchWalletRequest, s watchStream) error {
			switch r.GetResumeToken() {
			case "":
				if err := s.Send(snapshot()); err != nil {
					return err
				}
				<-ctx.Done() // Hangs while the connection looks well.
				return ctx.Err()
			default:
				return s.Send(change(1))
			}
		}
		began := time.Now()
		wantHistory(t, collect(t, f.signedIn(t), 1), 1)
		if took := time.Since(began); took < 45*time.Second || took > 47*time.Second {
			t.Errorf("took %v, want 45 s and a little chance", took)
		}
	})
}

func TestHeartbeatsKeepAStreamAndMoveItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		var tokens []string
		f.watch = func(_ context.Context, r *walletv1.WatchWalletRequest, s watchStream) error {
			tokens = append(tokens, r.GetResumeToken())
			if len(tokens) == 2 {
				return s.Send(change(1))
			}
			if err := s.Send(snapshot()); err != nil {
				return err
			}
			for n := range 240 {
				time.Sleep(15 * time.Second)
				if err := s.Send(heartbeat(fmt.Sprint("beat-", n))); err != nil {
					return err
				}
			}
			return nil
		}
		wantHistory(t, collect(t, f.signedIn(t), 1), 1)
		if fmt.Sprint(tokens) != "[ beat-239]" {
			t.Errorf("streams began at %q, want the start and the last heartbeat", tokens)
		}
	})
}

// A caller who takes long over an event isn't a stream that is silent.
func TestASlowCallerKeepsTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		f.watch = func(_ context.Context, r *walletv1.WatchWalletRequest, s watchStream) error {
			return history{3}.serve(r, s, func() error { return nil })
		}
		for event, err := range f.signedIn(t).Wallet.Watch(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Minute)
			if event.GetResumeToken() == "3" {
				break
			}
		}
		if n := f.count(walletv1connect.WalletServiceWatchWalletProcedure); n != 1 {
			t.Errorf("%d streams were opened", n)
		}
	})
}

func TestAWatchEndsWithAnErrorThatTryingAgainCantMend(t *testing.T) {
	for reason, code := range map[errorv1.ErrorReason]connect.Code{
		errorv1.ErrorReason_ERROR_REASON_SESSION_REVOKED:      connect.CodeUnauthenticated,
		errorv1.ErrorReason_ERROR_REASON_RESUME_TOKEN_INVALID: connect.CodeInvalidArgument,
		errorv1.ErrorReason_ERROR_REASON_PERMISSION_DENIED:    connect.CodePermissionDenied,
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{}
			f.watch = func(context.Context, *walletv1.WatchWalletRequest, watchStream) error {
				return failure(code, reason)
			}
			n := 0
			for event, err := range f.signedIn(t).Wallet.WatchFrom(t.Context(), "7") {
				n++
				e := asError(t, err)
				if event != nil || "ERROR_REASON_"+string(e.Reason) != reason.String() {
					t.Errorf("got %v, %v", event, err)
				}
			}
			if n != 1 || f.count(walletv1connect.WalletServiceWatchWalletProcedure) != 1 {
				t.Errorf("%v: yielded %d times over %d streams", reason, n, f.count(walletv1connect.WalletServiceWatchWalletProcedure))
			}
		})
	}
}

func TestAWatchBelievesAnErrorThatComesAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		f.watch = func(context.Context, *walletv1.WatchWalletRequest, watchStream) error {
			return failure(connect.CodeInternal, errorv1.ErrorReason_ERROR_REASON_INTERNAL)
		}
		for _, err := range f.signedIn(t).Wallet.Watch(t.Context()) {
			if !errors.Is(err, tillbook.ReasonInternal) {
				t.Errorf("got %v", err)
			}
		}
		if n := f.count(walletv1connect.WalletServiceWatchWalletProcedure); n != 5 {
			t.Errorf("asked %d times, want 5", n)
		}
	})
}

func TestAWatchWaitsForAServerThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		f.watch = func(_ context.Context, r *walletv1.WatchWalletRequest, s watchStream) error {
			return history{1}.serve(r, s, func() error { return nil })
		}
		client := f.signedIn(t)
		f.mu.Lock()
		f.dialFails = -1
		f.mu.Unlock()
		time.AfterFunc(10*time.Minute, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.dialFails = 0
		})
		wantHistory(t, collect(t, client, 1), 1)
		// 3.5 s on average between tries; a storm would show.
		if f.dials < 100 || f.dials > 400 {
			t.Errorf("dialed %d times in ten minutes", f.dials)
		}
	})
}

func TestAWatchEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		gone := make(chan struct{})
		f.watch = func(ctx context.Context, _ *walletv1.WatchWalletRequest, s watchStream) error {
			defer close(gone)
			if err := s.Send(snapshot()); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var last error
		for _, err := range f.signedIn(t).Wallet.Watch(ctx) {
			last = err
		}
		if !errors.Is(last, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", last)
		}
		<-gone // The server sees the caller go.
	})
}

func TestACallerWhoHasSeenEnoughEndsTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		gone := make(chan struct{})
		f.watch = func(ctx context.Context, _ *walletv1.WatchWalletRequest, s watchStream) error {
			defer close(gone)
			if err := s.Send(snapshot()); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		}
		for range f.signedIn(t).Wallet.Watch(t.Context()) {
			break
		}
		<-gone
	})
}
