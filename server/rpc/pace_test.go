package rpc

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"pgregory.net/rapid"
)

// serve has payments come at a rate for a time to a server that does so many a second,
// one after the other, and returns how many were let in, how many of these were done
// before their clients gave up, and how many are under way at the end.
func serve(p *pace, from, until time.Duration, offered, capacity int, queue []time.Duration) (in, done int, left []time.Duration) {
	const giveUp = 5 * time.Second
	step := time.Second / time.Duration(offered*capacity)
	for at := from; at < until; at += step {
		n := int((at - from) / step)
		if n%capacity == 0 && len(queue) < p.room(at, 16_384, len(queue)) {
			queue = append(queue, at)
			in++
		}
		if n%offered == 0 && len(queue) > 0 {
			took := at - queue[0]
			queue = queue[1:]
			p.ended(at, took, took < giveUp)
			if took < giveUp {
				done++
			}
		}
	}
	return in, done, queue
}

func TestASlowServerLetsInWhatItDoesInTime(t *testing.T) {
	var p pace
	_, _, queue := serve(&p, 0, 20*time.Second, 1500, 150, nil)
	in, done, queue := serve(&p, 20*time.Second, 60*time.Second, 1500, 150, queue)
	if want := 40 * 150; done < want*95/100 || in > want*105/100 {
		t.Errorf("of 40 s of work, which is %d payments, %d were let in and %d done in time", want, in, done)
	}
	// A little later it is an idle server again, where many may come at once.
	_, _, queue = serve(&p, 60*time.Second, 70*time.Second, 1, 150, queue)
	if room := p.room(70*time.Second, 16_384, 0); room != 16_384 || len(queue) > 0 {
		t.Errorf("there is room for %d, and %d are under way", room, len(queue))
	}
}

func TestAFastServerIsBoundedByNumberAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p pace
		took := rapid.Int64Range(0, int64(hurried)).Draw(t, "took")
		for at := range 30 {
			p.ended(time.Duration(at)*beatLength, time.Duration(took), rapid.Bool().Draw(t, "whole"))
		}
		if room := p.room(30*beatLength, 16_384, 500); room != 16_384 {
			t.Errorf("there is room for %d", room)
		}
	})
}

func TestWhereNothingIsDoneTheLeastAreLetIn(t *testing.T) {
	var p pace
	for at := range 20 {
		p.ended(time.Duration(at)*beatLength, 5*time.Second, false)
	}
	if room := p.room(20*beatLength, 16_384, 500); room != leastPayments {
		t.Errorf("there is room for %d", room)
	}
	if room := p.room(60*beatLength, 16_384, leastPayments); room != leastPayments {
		t.Errorf("after a while in which none of %d ended there is room for %d", leastPayments, room)
	}
	if room := p.room(60*beatLength, 16_384, 0); room != 16_384 {
		t.Errorf("after a while in which nothing came there is room for %d", room)
	}
	if room := p.room(60*beatLength, 16_384, 500); room != 16_384 {
		t.Errorf("when many come at once then, there is room for %d", room)
	}
}

func TestPaymentsRefusedAtOnceDontHideThatOthersAreSlow(t *testing.T) {
	g := NewGate(Room{}, slog.New(slog.DiscardHandler))
	refuse := Admit(g, nil)(func(context.Context, connect.Spec, connect.ServerStream) error { return errShed })
	ctx := withCall(t.Context(), &call{policy: Policy{Access: User, Money: true}})
	for range 10_000 {
		if err := refuse(ctx, connect.Spec{StreamType: connect.StreamTypeUnary}, nil); err == nil {
			t.Fatal("a payment was served")
		}
	}
	for range 100 { // whatever becomes of them
		permit{gate: g, priority: PriorityPayment, since: clock() - 5*time.Second}.leave(true, errShed)
	}
	next := clock() + beatLength
	g.pace.ended(next, 5*time.Second, true)
	if room := g.pace.room(next, 16_384, 101); room > 101 {
		t.Errorf("there is room for %d where 100 were done", room)
	}
}

// An import is paid for as a whole, and takes as long as its client sends.
func TestAStreamThatTakesLongIsNoSlowPayment(t *testing.T) {
	g := NewGate(Room{}, slog.New(slog.DiscardHandler))
	serve := Admit(g, nil)(func(context.Context, connect.Spec, connect.ServerStream) error {
		time.Sleep(hurried + beatLength)
		return nil
	})
	ctx := withCall(t.Context(), &call{policy: Policy{Access: Operator, Money: true}})
	if err := serve(ctx, connect.Spec{StreamType: connect.StreamTypeClient}, nil); err != nil {
		t.Fatal(err)
	}
	next := clock() + beatLength
	g.pace.ended(next, time.Millisecond, true)
	if room := g.pace.room(next, 16_384, 0); room != 16_384 {
		t.Errorf("there is room for %d payments", room)
	}
}
