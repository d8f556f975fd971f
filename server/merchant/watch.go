package merchant

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
	"github.com/tillbook/tillbook/server/checkout"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/server/staff"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/cause"
	"github.com/tillbook/tillbook/store/id"
)

// WatchConfig tunes WatchMerchant. The zero value works.
type WatchConfig struct {
	// Heartbeat is how long a stream may be silent. Default 15 s. Each one also looks
	// for events, should a wake-up ever be lost.
	Heartbeat time.Duration
	// PollInterval is how often what other replicas did is looked for while anybody
	// watches. Default 50 ms.
	PollInterval time.Duration
	// MaxPerUser is how many streams a user may have open on this replica. Default 8.
	MaxPerUser int
}

func (c *WatchConfig) setDefaults() {
	if c.Heartbeat <= 0 {
		c.Heartbeat = 15 * time.Second
	}
	if c.PollInterval <= 0 {
		c.PollInterval = 50 * time.Millisecond
	}
	if c.MaxPerUser <= 0 {
		c.MaxPerUser = 8
	}
}

const (
	// typeAlert is the type of the events about terminals.
	typeAlert = "terminal.alert"
	// typeRemoved is the type of those that say that somebody works there no more.
	typeRemoved = "staff.removed"
	// eventPage is how many events are read at a time.
	eventPage = 200
)

// watchers counts the streams of each user.
type watchers struct {
	max  int
	mu   sync.Mutex
	open map[uuid.UUID]int
}

// enter lets a stream of a user in, until leave is called, or fails with
// RATE_LIMITED.
func (w *watchers) enter(user uuid.UUID) (leave func(), err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open[user] >= w.max {
		return nil, rpc.NewError(errorv1.ErrorReason_ERROR_REASON_RATE_LIMITED,
			"You watch on too many connections. Close one first.").WithRetry(time.Second)
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

// place is where a stream has come in the order of events: behind an event.
type place struct {
	Xid, ID int64
}

// watch is one stream. It lives on its call's goroutine alone.
type watch struct {
	*Service
	who     member
	subject string
	stream  merchantv1connect.MerchantServiceWatchMerchantServerStream
	place   place
}

// watchMerchant streams what happens at a merchant until ctx ends.
func (s *Service) watchMerchant(ctx context.Context, m member, token string, stream merchantv1connect.MerchantServiceWatchMerchantServerStream) error {
	leave, err := s.watchers.enter(m.user)
	if err != nil {
		return err
	}
	defer leave()
	w := &watch{Service: s, who: m, subject: money.MerchantScope(m.merchant), stream: stream}
	// The subscription comes before the first look: what is committed between the two
	// is then either read or announced.
	wake, unsubscribe := s.follower.subscribe(w.subject)
	defer unsubscribe()
	if err := w.begin(ctx, token); err != nil {
		return err
	}
	return w.follow(ctx, wake)
}

// begin finds out where the client is: here, or where its token says. Its first
// message says that it is served, and gives a client that began here its token.
func (w *watch) begin(ctx context.Context, token string) error {
	horizon, err := w.store.Queries().GetHorizon(ctx)
	if err != nil {
		return fmt.Errorf("reading the horizon: %w", err)
	}
	w.place = place{Xid: horizon}
	if token != "" {
		if err := rpc.DecodePageToken(w.kind(), token, &w.place); err != nil || w.place.Xid > horizon || w.place.Xid < 0 {
			return rpc.NewError(errorv1.ErrorReason_ERROR_REASON_RESUME_TOKEN_INVALID,
				"The resume token is damaged or belongs to another stream. Watch again without one.").
				WithField("resume_token", "must be the resume_token of a message about the same merchant").WithCause(err)
		}
	}
	return w.heartbeat()
}

func (w *watch) kind() string {
	return rpc.PageKind(merchantv1connect.MerchantServiceWatchMerchantProcedure, w.who.merchant.String())
}

// follow sends what happens until ctx ends: because the client leaves or the server
// moves the stream elsewhere.
func (w *watch) follow(ctx context.Context, wake <-chan struct{}) error {
	silence := time.NewTimer(w.watching.Heartbeat)
	defer silence.Stop()
	beat := false
	for {
		if err := w.stillThere(ctx); err != nil {
			return err
		}
		sent, err := w.catchUp(ctx)
		if err == nil && beat && !sent {
			sent, err = true, w.heartbeat()
		}
		if err != nil {
			return err
		}
		if sent {
			silence.Reset(w.watching.Heartbeat)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wake:
			beat = false
		case <-silence.C:
			beat = true
		}
	}
}

var errGone = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_PERMISSION_DENIED, "You don't work for the merchant any more.")

// stillThere fails with PERMISSION_DENIED once the user works there no more.
func (w *watch) stillThere(ctx context.Context) error {
	_, _, err := staff.Require(ctx, w.store.Queries(), id.Format(id.Merchant, w.who.merchant), w.who.user, staff.Cashier)
	if rpc.ReasonOf(err) == errorv1.ErrorReason_ERROR_REASON_NOT_FOUND {
		return errGone.WithCause(err)
	}
	return err
}

// catchUp sends what happened since the stream's place, and says whether there was
// anything.
func (w *watch) catchUp(ctx context.Context) (sent bool, err error) {
	horizon, err := w.store.Queries().GetHorizon(ctx)
	if err != nil {
		return false, fmt.Errorf("reading the horizon: %w", err)
	}
	for {
		page, err := w.store.Queries().ListEventsOfMerchant(ctx, store.ListEventsOfMerchantParams{
			Subject: w.subject, AfterXid: w.place.Xid, AfterID: w.place.ID, Horizon: horizon, MaxRows: eventPage,
		})
		if err != nil {
			return sent, fmt.Errorf("reading events: %w", err)
		}
		any, err := w.push(ctx, page)
		sent = sent || any
		if err != nil {
			return sent, err
		}
		if len(page) < eventPage {
			// What is behind it and below the horizon was nothing to this stream.
			w.place = place{Xid: max(horizon, w.place.Xid)}
			return sent, nil
		}
	}
}

// push sends a page of events as part of the traces that caused them.
func (w *watch) push(ctx context.Context, page []store.ListEventsOfMerchantRow) (sent bool, err error) {
	traces := make([]string, len(page))
	for i := range page {
		traces[i] = page[i].Trace
	}
	ctx, span := cause.Start(ctx, "merchant.push", cause.Parsed(traces...))
	defer span.End()
	return w.sendAll(ctx, page)
}

// told is the payload of an event.
type told struct {
	Checkout uuid.UUID
	Terminal uuid.UUID
	Message  string
}

// sendAll sends a page of events, each checkout as it stands: one that changed several
// times comes once, in the place of its last change.
func (w *watch) sendAll(ctx context.Context, page []store.ListEventsOfMerchantRow) (sent bool, err error) {
	payloads := make([]told, len(page))
	last := make(map[uuid.UUID]int)
	for i := range page {
		if err := json.Unmarshal(page[i].Payload, &payloads[i]); err != nil {
			return false, fmt.Errorf("reading an event of type %s: %w", page[i].Type, err)
		}
		last[payloads[i].Checkout] = i
	}
	shown, err := w.checkoutsNow(ctx, last)
	if err != nil {
		return false, err
	}
	for i := range page {
		res := &merchantv1.WatchMerchantResponse{}
		switch m, p := shown[payloads[i].Checkout], &payloads[i]; {
		case page[i].Type == typeAlert:
			res.Event = &merchantv1.WatchMerchantResponse_TerminalAlert_{TerminalAlert: &merchantv1.WatchMerchantResponse_TerminalAlert{
				TerminalId: id.Format(id.Terminal, p.Terminal), Message: p.Message,
			}}
		case m != nil && last[p.Checkout] == i:
			res.Event = m
		default:
			continue
		}
		w.place = place{Xid: page[i].Xid, ID: page[i].ID}
		if err := w.send(res); err != nil {
			return sent, err
		}
		sent = true
	}
	if n := len(page); n > 0 {
		w.place = place{Xid: page[n-1].Xid, ID: page[n-1].ID}
	}
	return sent, nil
}

// checkoutsNow shows checkouts as they are.
func (w *watch) checkoutsNow(ctx context.Context, wanted map[uuid.UUID]int) (map[uuid.UUID]*merchantv1.WatchMerchantResponse_Checkout, error) {
	delete(wanted, uuid.Nil)
	if len(wanted) == 0 {
		return nil, nil
	}
	ids := make([]uuid.UUID, 0, len(wanted))
	for c := range wanted {
		ids = append(ids, c)
	}
	list, err := w.checkouts.ByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	messages, err := w.checkouts.Messages(ctx, list, checkout.ForMerchant())
	if err != nil {
		return nil, err
	}
	shown := make(map[uuid.UUID]*merchantv1.WatchMerchantResponse_Checkout, len(list))
	for i := range list {
		shown[list[i].ID] = &merchantv1.WatchMerchantResponse_Checkout{Checkout: messages[i]}
	}
	return shown, nil
}

func (w *watch) heartbeat() error {
	return w.send(&merchantv1.WatchMerchantResponse{Event: &merchantv1.WatchMerchantResponse_Heartbeat_{
		Heartbeat: &merchantv1.WatchMerchantResponse_Heartbeat{Time: timestamppb.New(w.now())},
	}})
}

// send sends a message with the token that continues after it. A client that reads
// slowly holds up this stream and nothing else.
func (w *watch) send(res *merchantv1.WatchMerchantResponse) error {
	res.ResumeToken = rpc.EncodePageToken(w.kind(), w.place)
	return w.stream.Send(res)
}
