package rpc

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/failsafe-go/failsafe-go/adaptivelimiter"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
)

// Room is how much a replica does at once. Zero values are the defaults.
type Room struct {
	// Payments is how many calls that begin payments may be under way; an eighth more
	// is kept for those that finish them. Payments ride in batches, which get larger
	// with their number, so they take longer the more there are and yet more are done.
	// Only when they take longer than half a second their number is bounded to what is
	// done in one. Default 16,384.
	Payments int
	// Calls is how many other calls may be under way at the most, LeastCalls how many
	// may be whatever happens; between the two the bound follows how long they take.
	// History gets half of it. Default 4,096 and 64.
	Calls, LeastCalls int
	// SignIns is how many calls of strangers may be under way. Default 1,024.
	SignIns int
	// Watches is how many streams may be open, but for those of terminals. Default
	// 20,000.
	Watches int
	// Sessions is how many terminals may be connected. Default 40,000.
	Sessions int
	// Probes is how many streams of health and reflection may be open. Default 1,024.
	Probes int
}

func (r *Room) setDefaults() {
	for _, d := range []struct {
		of  *int
		def int
	}{{&r.Payments, 16_384}, {&r.Calls, 4096}, {&r.LeastCalls, 64}, {&r.SignIns, 1024}, {&r.Watches, 20_000}, {&r.Sessions, 40_000}, {&r.Probes, 1024}} {
		if *d.of <= 0 {
			*d.of = d.def
		}
	}
	r.Calls = max(r.Calls, r.LeastCalls)
}

// firstCalls is how many calls are let in before it is known how long they take.
const firstCalls = 512

// Gate turns calls away when there are too many, the least important first. It never
// keeps a call waiting: what is refused may be tried again, here or at a replica that
// has room, while what waits is a queue that somebody has to bound.
//
// The bound on calls is that of a maintained limiter, which lowers it when they begin
// to take longer than they did.
type Gate struct {
	room    Room
	calls   adaptivelimiter.AdaptiveLimiter[any]
	log     *slog.Logger
	pace    pace
	open    [priorities]atomic.Int64
	shed    [priorities]atomic.Int64
	pressed atomic.Int64 // when a payment was last turned away, by the process's clock
	logged  atomic.Int64
}

// NewGate returns a gate.
func NewGate(room Room, log *slog.Logger) *Gate {
	room.setDefaults()
	first := max(room.LeastCalls, min(firstCalls, room.Calls))
	g := &Gate{room: room, log: log}
	g.pressed.Store(-int64(pressure))
	g.logged.Store(-int64(shedLogEvery))
	g.calls = adaptivelimiter.NewBuilder[any]().
		WithLimits(uint(room.LeastCalls), uint(room.Calls), uint(first)).
		WithMaxLimitFactor(float64(firstCalls)). // few calls now say nothing about how many may come
		Build()
	return g
}

const (
	// pressure is how long after a payment was turned away nothing less important is
	// begun than what people wait for.
	pressure = time.Second
	// shedLogEvery bounds how often the log says that calls are turned away.
	shedLogEvery = 10 * time.Second
)

// gateStart is the zero of clock.
var gateStart = time.Now()

// Shed is the cause of the error of a call that was turned away.
type Shed struct{ Priority Priority }

// Error names the priority.
func (s *Shed) Error() string { return "no room for calls of the priority " + s.Priority.String() }

// Turned returns how many calls of a priority were turned away.
func (g *Gate) Turned(p Priority) int64 { return g.shed[p].Load() }

// Open returns how many calls of a priority are under way.
func (g *Gate) Open(p Priority) int64 { return g.open[p].Load() }

// Limit returns how many calls may be under way now.
func (g *Gate) Limit() int { return g.calls.Limit() }

// Priorities returns all that there are.
func Priorities() []Priority {
	all := make([]Priority, 0, priorities-1)
	for p := PriorityFinish; p < priorities; p++ {
		all = append(all, p)
	}
	return all
}

// permit is a call's place. It is given back once.
type permit struct {
	gate     *Gate
	priority Priority
	since    time.Duration
	calls    adaptivelimiter.Permit // nil for what isn't counted there
}

// clock is the process's, which no one sets.
func clock() time.Duration { return time.Since(gateStart) }

// enter lets a call in, or fails with OVERLOADED.
func (g *Gate) enter(p Priority) (permit, error) {
	in := permit{gate: g, priority: p, since: clock()}
	n := int(g.open[p].Add(1))
	ok := true
	switch p {
	case PriorityFinish, PriorityPayment:
		all := int(g.open[PriorityFinish].Load() + g.open[PriorityPayment].Load())
		room := g.payments(in.since, all)
		if p == PriorityPayment {
			ok = all <= room
		} else { // slow payments keep out others, and nothing that finishes one
			ok = n <= room+room/8+1 && all <= g.room.Payments+g.room.Payments/8+1
		}
	case PrioritySignIn:
		ok = n <= g.room.SignIns
	case PrioritySession:
		ok = n <= g.room.Sessions
	case PriorityProbe:
		ok = n <= g.room.Probes
	case PriorityWatch:
		// The bound is on those that are open. To open one takes reading, so history
		// must have room.
		ok = n <= g.room.Watches && !g.underPressure() && int(g.open[PriorityHistory].Load()) < g.calls.Limit()/4+1
	case PriorityHistory:
		ok = n <= max(1, g.calls.Limit()/2) && !g.underPressure()
	}
	if ok && (p == PriorityCall || p == PriorityHistory) {
		in.calls, ok = g.calls.TryAcquirePermit()
	}
	if ok {
		return in, nil
	}
	g.open[p].Add(-1)
	return in, g.refuse(p)
}

// payments is how many of them may be under way; underWay is how many are now, with
// those calls that finish one.
func (g *Gate) payments(at time.Duration, underWay int) int {
	return g.pace.room(at, g.room.Payments, underWay)
}

// underPressure tells whether payments are turned away, or about to be.
func (g *Gate) underPressure() bool {
	now, begun := clock(), int(g.open[PriorityPayment].Load())
	room := g.payments(now, begun+int(g.open[PriorityFinish].Load()))
	return begun > room/2 || int64(now)-g.pressed.Load() < int64(pressure)
}

// press notes that a payment was turned away.
func (g *Gate) press() { g.pressed.Store(int64(clock())) }

func (g *Gate) refuse(p Priority) error {
	g.shed[p].Add(1)
	if p <= PriorityPayment {
		g.press()
	}
	now, last := int64(clock()), g.logged.Load()
	if now-last >= int64(shedLogEvery) && g.logged.CompareAndSwap(last, now) {
		g.log.Warn("calls are turned away: there are too many", "priority", p.String(), "turned_away", g.Turned(p), "limit", g.Limit())
	}
	return errShed.WithRetry(retryOf[p] + rand.N(retryOf[p])).WithCause(&Shed{p})
}

// leave gives a call's place back, if it has one. Only calls that weren't cut short say
// how long calls take, and only payments that weren't refused at once how long payments
// do.
func (in permit) leave(whole bool, err error) {
	if in.gate != nil && in.priority <= PriorityPayment {
		now := clock()
		if took := now - in.since; err == nil || took >= atOnce {
			in.gate.pace.ended(now, took, whole)
		}
	}
	in.release(whole)
}

func (in permit) release(whole bool) {
	if in.gate == nil {
		return
	}
	in.gate.open[in.priority].Add(-1)
	switch {
	case in.calls == nil:
	case whole:
		in.calls.Record()
	default:
		in.calls.Drop()
	}
}

// retryOf is when to try again, at the earliest: what matters less comes back later.
var retryOf = [priorities]time.Duration{
	PriorityFinish: 100 * time.Millisecond, PriorityPayment: 200 * time.Millisecond,
	PriorityCall: 250 * time.Millisecond, PrioritySignIn: time.Second,
	PriorityHistory: time.Second, PriorityWatch: 3 * time.Second, PrioritySession: 3 * time.Second,
	PriorityProbe: 3 * time.Second,
}

var errShed = NewError(errorv1.ErrorReason_ERROR_REASON_OVERLOADED,
	"The server has more to do than it can. Try again a little later.")

// Admit lets calls through a gate. Calls of infrastructure pass, but for their streams.
// History and watches are read where context puts them, so that
// they keep nothing else from the database.
func Admit(g *Gate, history func(context.Context) context.Context) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			c := callFrom(ctx)
			p := c.policy.priorityOf(spec.Procedure)
			if c.policy.Plumbing {
				if spec.StreamType == connect.StreamTypeUnary {
					return next(ctx, spec, stream)
				}
				p = PriorityProbe
			}
			var err error
			single := spec.StreamType&connect.StreamTypeClient == 0
			placed := &placedStream{ServerStream: stream, gate: g, priority: p}
			if !single || c.policy.Access.looksUp() {
				if placed.in, err = g.enter(p); err != nil {
					return err
				}
			}
			if single {
				stream = placed
			}
			whole, unary := false, spec.StreamType == connect.StreamTypeUnary
			defer func() {
				if unary {
					placed.in.leave(whole, err)
				} else { // how long it takes depends on its client
					placed.in.release(false)
				}
			}()
			if p == PriorityHistory || p == PriorityWatch {
				ctx = history(ctx)
			}
			err = next(ctx, spec, stream)
			whole = unary && ctx.Err() == nil
			// One without a place was counted when it was refused, or its request never came.
			if err != nil && placed.in.gate != nil && c.policy.Money && ReasonOf(err) == errorv1.ErrorReason_ERROR_REASON_OVERLOADED {
				g.press()
			}
			return err
		}
	}
}

// placedStream is that of a call with one request, which has no place while the request
// arrives: how long that takes is up to the client.
type placedStream struct {
	connect.ServerStream
	gate     *Gate
	priority Priority
	in       permit
	read     bool
}

// Receive gives the place back in which the caller was looked up, if anybody was, and
// takes one when the request is there.
func (s *placedStream) Receive(msg any) error {
	if s.read {
		return s.ServerStream.Receive(msg)
	}
	s.read = true
	var spent time.Duration
	if s.in.gate != nil {
		spent = clock() - s.in.since
	}
	s.in.release(false)
	s.in = permit{}
	if err := s.ServerStream.Receive(msg); err != nil {
		return err
	}
	in, err := s.gate.enter(s.priority)
	if err == nil {
		s.in = in
		s.in.since -= spent
	}
	return err
}
