package rpc

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
)

// narrow is a gate whose bounds are small and don't move.
func narrow() *Gate {
	return NewGate(Room{Payments: 16, Calls: 8, LeastCalls: 8, SignIns: 2, Watches: 3, Sessions: 2, Probes: 1}, slog.New(slog.DiscardHandler))
}

// fill lets calls of a priority in until one is turned away.
func fill(t *testing.T, g *Gate, p Priority) (in []permit) {
	t.Helper()
	for len(in) < 1000 {
		one, err := g.enter(p)
		if err != nil {
			shed, ok := errors.AsType[*Shed](err)
			if e := AsError(err); !ok || shed.Priority != p || e.Reason() != errorv1.ErrorReason_ERROR_REASON_OVERLOADED || e.RetryAfter() <= 0 {
				t.Errorf("%s is turned away with %v", p, err)
			}
			return in
		}
		in = append(in, one)
	}
	t.Fatalf("%s has no bound", p)
	return nil
}

func (g *Gate) admits(p Priority) bool {
	in, err := g.enter(p)
	if err == nil {
		in.leave(true, nil)
	}
	return err == nil
}

func TestEveryPriorityHasItsRoom(t *testing.T) {
	for p, want := range map[Priority]int{
		PriorityPayment: 16, PriorityFinish: 16 + 3, PriorityCall: 8, PrioritySignIn: 2, PriorityHistory: 4, PriorityWatch: 3, PrioritySession: 2, PriorityProbe: 1,
	} {
		g := narrow()
		in := fill(t, g, p)
		if len(in) != want {
			t.Errorf("%s: %d were let in, not %d", p, len(in), want)
		}
		if g.Turned(p) != 1 || g.Open(p) != int64(want) {
			t.Errorf("%s: turned away %d, open %d", p, g.Turned(p), g.Open(p))
		}
		for _, one := range in {
			one.leave(true, nil)
		}
		if g.Open(p) != 0 {
			t.Errorf("%s: %d are still there", p, g.Open(p))
		}
	}
}

func TestWhatMattersLessIsTurnedAwayFirst(t *testing.T) {
	g := narrow()
	if !g.admits(PriorityWatch) {
		t.Fatal("an idle server has no room for a watch")
	}
	// Watches go before history is full, history before calls are.
	history := fill(t, g, PriorityHistory)
	if g.admits(PriorityWatch) || !g.admits(PriorityCall) || !g.admits(PriorityPayment) {
		t.Error("history that is full keeps out more than watches, or not even those")
	}
	for _, one := range history {
		one.leave(true, nil)
	}
	calls := fill(t, g, PriorityCall)
	if g.admits(PriorityHistory) || !g.admits(PriorityPayment) || !g.admits(PrioritySession) {
		t.Error("calls that are full keep out more than history, or not even that")
	}
	for _, one := range calls {
		one.leave(true, nil)
	}
	// Before a payment is turned away, what can wait is.
	var payments []permit
	for g.admits(PriorityHistory) {
		one, err := g.enter(PriorityPayment)
		if err != nil {
			t.Fatal("a payment was turned away before history was")
		}
		payments = append(payments, one)
	}
	if g.admits(PriorityWatch) || !g.admits(PriorityPayment) {
		t.Error("watches are let in where history isn't, or payments aren't")
	}
	payments = append(payments, fill(t, g, PriorityPayment)...)
	if !g.admits(PriorityFinish) {
		t.Error("there is no room to finish payments")
	}
	for _, one := range payments {
		one.leave(true, nil)
	}
	if g.admits(PriorityHistory) || g.admits(PriorityWatch) || !g.admits(PriorityCall) {
		t.Error("a payment was turned away just now, and history is let in, or calls aren't")
	}
}

func TestEveryProcedureHasAPriority(t *testing.T) {
	for procedure, policy := range Policies {
		p := policy.priorityOf(procedure)
		if policy.Money && p > PriorityPayment {
			t.Errorf("%s moves money and is a %s", procedure, p)
		}
		if p.String() == "" || p == 0 {
			t.Errorf("%s has none", procedure)
		}
	}
	for procedure := range finishing {
		if !Policies[procedure].Money {
			t.Errorf("%s finishes payments and moves no money", procedure)
		}
	}
}

func BenchmarkGate(b *testing.B) {
	for _, p := range []Priority{PriorityPayment, PriorityCall} {
		b.Run(p.String(), func(b *testing.B) {
			g := NewGate(Room{}, slog.New(slog.DiscardHandler))
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if in, err := g.enter(p); err == nil {
						in.leave(true, nil)
					}
				}
			})
		})
	}
}

func TestSlowPaymentsKeepOutNothingThatFinishesOne(t *testing.T) {
	g := NewGate(Room{}, slog.New(slog.DiscardHandler))
	for range 2 * leastPayments {
		if _, err := g.enter(PriorityPayment); err != nil {
			t.Fatal(err)
		}
	}
	now := clock()
	for at := range 2 * beatCount {
		g.pace.ended(now+time.Duration(at)*beatLength, 5*time.Second, true)
	}
	if g.admits(PriorityPayment) {
		t.Error("more slow payments are let in than are done in time")
	}
	if in := fill(t, g, PriorityFinish); len(in) != leastPayments+leastPayments/8+1 {
		t.Errorf("%d that finish one are let in", len(in))
	}
}

// receiving is a stream of a call whose request is there.
type receiving struct {
	connect.ServerStream
	received int
}

func (r *receiving) Receive(any) error {
	r.received++
	return nil
}

func TestACallForEverybodyTakesItsPlaceWithItsRequest(t *testing.T) {
	g := NewGate(Room{Calls: 1, LeastCalls: 1}, slog.New(slog.DiscardHandler))
	serve := Admit(g, nil)(func(_ context.Context, _ connect.Spec, stream connect.ServerStream) error { return stream.Receive(nil) })
	unary := connect.Spec{StreamType: connect.StreamTypeUnary}
	fill(t, g, PriorityCall)
	for access, read := range map[Access]int{Public: 1, User: 0} {
		stream := &receiving{}
		err := serve(withCall(t.Context(), &call{policy: Policy{Access: access, Priority: PriorityCall}}), unary, stream)
		if ReasonOf(err) != errorv1.ErrorReason_ERROR_REASON_OVERLOADED {
			t.Errorf("there is room for a call of %d: %v", access, err)
		}
		if stream.received != read {
			t.Errorf("%d requests of a call of %d were read", stream.received, access)
		}
	}
}

func TestPaymentsThatStandStillStayBoundedWhateverElseIsAskedFor(t *testing.T) {
	g := NewGate(Room{}, slog.New(slog.DiscardHandler))
	for range leastPayments - 1 { // of each, so that either alone is few
		for _, p := range []Priority{PriorityPayment, PriorityFinish} {
			if _, err := g.enter(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	g.pace.limit.Store(leastPayments) // they were slow, and for a while none has ended
	g.pace.said.Store(-2 * beatCount)
	if g.admits(PriorityHistory) {
		t.Error("history is let in while payments stand still")
	}
	if g.admits(PriorityPayment) {
		t.Error("a payment is let in behind others that stand still")
	}
}

// slow is a stream of a call whose request was cut off.
type slow struct{ connect.ServerStream }

func (slow) Receive(any) error { return errShed }

func TestARequestThatNeverCameIsNoSignOfTooManyPayments(t *testing.T) {
	g := narrow()
	serve := Admit(g, nil)(func(_ context.Context, _ connect.Spec, stream connect.ServerStream) error { return stream.Receive(nil) })
	ctx := withCall(t.Context(), &call{policy: Policy{Access: User, Money: true}})
	if err := serve(ctx, connect.Spec{StreamType: connect.StreamTypeUnary}, slow{}); err == nil {
		t.Fatal("a payment was served")
	}
	if !g.admits(PriorityHistory) {
		t.Error("who sends payments slowly keeps others from their history")
	}
}
