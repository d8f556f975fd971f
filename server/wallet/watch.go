package wallet

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/types/known/timestamppb"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/cause"
	"github.com/tillbook/tillbook/store/ledger"
)

// WatchConfig tunes WatchWallet. The zero value works.
type WatchConfig struct {
	// Heartbeat is how long a stream may be silent. Default 15 s. Each one also
	// looks for changes, should a wake-up ever be lost.
	Heartbeat time.Duration
	// MaxPerUser is how many streams a user may have open on this replica.
	// Default 8.
	MaxPerUser int
	// PageSize is how many entries of an account are read at once. Default 50.
	PageSize int
}

func (c *WatchConfig) setDefaults() {
	if c.Heartbeat <= 0 {
		c.Heartbeat = 15 * time.Second
	}
	if c.MaxPerUser <= 0 {
		c.MaxPerUser = 8
	}
	if c.PageSize <= 0 {
		c.PageSize = 50
	}
}

// watchers counts the streams of each user.
type watchers struct {
	max  int
	busy string // what a user is told who has as many as that
	mu   sync.Mutex
	open map[uuid.UUID]int
}

func newWatchers(max int, busy string) *watchers {
	return &watchers{max: max, busy: busy, open: make(map[uuid.UUID]int)}
}

// enter lets a stream of a user in, until leave is called, or fails with
// RATE_LIMITED.
func (w *watchers) enter(user uuid.UUID) (leave func(), err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open[user] >= w.max {
		return nil, rpc.NewError(errorv1.ErrorReason_ERROR_REASON_RATE_LIMITED, "%s", w.busy).WithRetry(time.Second)
	}
	w.open[user]++
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.open[user]--; w.open[user] == 0 {
			delete(w.open, user)
		}
	}, nil
}

// watch is one stream. It lives on its call's goroutine alone.
type watch struct {
	service *Service
	user    uuid.UUID
	stream  walletv1connect.WalletServiceWatchWalletServerStream
	known   versions // what the client has been sent
	// held is what of each account is held, as the client was told. Holds have no
	// versions: the client is told how things stand, not what happened.
	held map[ledger.AccountID]ledger.Amount
}

// begin finds out where the client is: at a snapshot that it is sent, or where
// its token says.
func (w *watch) begin(ctx context.Context, token string) error {
	accounts, err := w.accounts(ctx)
	if err != nil {
		return err
	}
	if token != "" {
		if w.known, err = decodeResume(token, w.user, accounts); err != nil {
			return err
		}
		// There may be nothing to say for a while; the client learns now that
		// it is being served.
		if err := w.stream.SendHeaders(); err != nil {
			return err
		}
		return w.doubtHeld(ctx, accounts)
	}
	w.known = make(versions, len(accounts))
	for _, a := range accounts {
		if a.Version > 0 {
			w.known[a.ID] = a.Version
			w.held[a.ID] = a.Held
		}
	}
	balances, err := w.service.balances(ctx, w.user, accounts)
	if err != nil {
		return err
	}
	return w.send(&walletv1.WatchWalletResponse{Event: &walletv1.WatchWalletResponse_Snapshot_{
		Snapshot: &walletv1.WatchWalletResponse_Snapshot{Balances: balances},
	}})
}

// follow sends what changes until ctx ends: because the client leaves or the
// server moves the stream elsewhere.
func (w *watch) follow(ctx context.Context, sub *ledger.Subscription) error {
	silence := time.NewTimer(w.service.watch.Heartbeat)
	defer silence.Stop()
	beat := false
	for {
		sent, err := w.push(ctx, sub.Causes())
		if err == nil && beat && !sent {
			sent, err = true, w.heartbeat()
		}
		if err != nil {
			return err
		}
		if sent {
			silence.Reset(w.service.watch.Heartbeat)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-sub.C():
			beat = false
		case <-silence.C:
			beat = true
		}
	}
}

// push catches up as part of the traces that changed something.
func (w *watch) push(ctx context.Context, causes []trace.SpanContext) (sent bool, err error) {
	ctx, span := cause.Start(ctx, "wallet.push", causes)
	defer span.End()
	return w.catchUp(ctx)
}

func (w *watch) heartbeat() error {
	return w.send(&walletv1.WatchWalletResponse{Event: &walletv1.WatchWalletResponse_Heartbeat_{
		Heartbeat: &walletv1.WatchWalletResponse_Heartbeat{Time: timestamppb.New(w.service.now())},
	}})
}

// send sends a message with the token that continues after it. A client that
// reads slowly holds up this stream and nothing else.
func (w *watch) send(res *walletv1.WatchWalletResponse) error {
	token, err := encodeResume(w.user, w.known)
	if err != nil {
		return err
	}
	res.ResumeToken = token
	return w.stream.Send(res)
}

func (w *watch) accounts(ctx context.Context) ([]ledger.Account, error) {
	return w.service.ledger.AccountsUnder(ctx, money.UserPrefix(w.user))
}
