package auth

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tillbook/tillbook/server/phone"
)

// message is a text for a number. One without a text isn't sent: it takes its
// way through the queue so that calls which send nothing look like the others.
type message struct {
	phone phone.E164
	text  string
	// code is true if a code is in it.
	code bool
	// left is called when it waits no more.
	left func()
}

const (
	senders      = 4
	sendTimeout  = 10 * time.Second
	sendAttempts = 3
	sendBackoff  = 500 * time.Millisecond
)

// outbox sends messages off the path of the calls that cause them, so that a
// call's time doesn't tell whether it sent one. Codes are in its memory only:
// what a crash loses, a user asks for again.
type outbox struct {
	gateway Gateway
	log     *slog.Logger

	// places bounds the queue together with those who may still put something in.
	places chan struct{}
	queue  chan message
	ctx    context.Context
	cancel context.CancelFunc
	// closing is closed when nothing new is accepted and the senders should end
	// once the queue is empty.
	closing chan struct{}
	senders sync.WaitGroup

	sent, failed atomic.Int64
	codes        tally // that were sent
	waiting      waiting
}

func newOutbox(gateway Gateway, size int, log *slog.Logger) *outbox {
	o := &outbox{
		gateway: gateway,
		log:     log,
		places:  make(chan struct{}, size),
		queue:   make(chan message, size),
		closing: make(chan struct{}),
	}
	o.ctx, o.cancel = context.WithCancel(context.Background())
	for range senders {
		o.senders.Go(o.run)
	}
	return o
}

// place is a reserved place in the queue.
type place struct {
	outbox *outbox
	spent  bool
}

// reserve takes a place before a call does its work, so that no challenge is
// made whose code can't be sent. It fails with OVERLOADED.
func (o *outbox) reserve() (*place, error) {
	select {
	case <-o.closing:
		return nil, errOverloaded
	default:
	}
	select {
	case o.places <- struct{}{}:
		return &place{outbox: o}, nil
	default:
		return nil, errOverloaded
	}
}

// send puts the message in the queue; there is room for it.
func (p *place) send(m message) {
	p.spent = true
	m.left = p.outbox.waiting.enter()
	p.outbox.queue <- m
}

// release gives an unused place back.
func (p *place) release() {
	if !p.spent {
		p.spent = true
		<-p.outbox.places
	}
}

// notify sends a message that a call can do without, if there is room for it.
func (o *outbox) notify(m message) {
	p, err := o.reserve()
	if err != nil {
		o.failed.Add(1)
		return
	}
	p.send(m)
}

// close waits until the queue is empty, but not longer than the timeout; what is
// left then is lost.
func (o *outbox) close(timeout time.Duration) {
	close(o.closing)
	timer := time.AfterFunc(timeout, o.cancel)
	defer timer.Stop()
	o.senders.Wait()
	o.cancel()
}

func (o *outbox) run() {
	for {
		select {
		case m := <-o.queue:
			o.deliver(m)
		case <-o.closing:
			select {
			case m := <-o.queue:
				o.deliver(m)
			default:
				return
			}
		}
	}
}

func (o *outbox) deliver(m message) {
	defer func() { m.left(); <-o.places }()
	if m.text == "" {
		return
	}
	for attempt := 1; ; attempt++ {
		err := o.try(m)
		if err == nil {
			o.sent.Add(1)
			if m.code {
				o.codes.add(m.phone)
			}
			return
		}
		if attempt == sendAttempts || errors.Is(err, ErrUndeliverable) || !o.pause(sendBackoff<<attempt) {
			o.failed.Add(1)
			o.log.Warn("a message could not be sent", "attempts", attempt, "error", err)
			return
		}
	}
}

func (o *outbox) try(m message) error {
	ctx, cancel := context.WithTimeout(o.ctx, sendTimeout)
	defer cancel()
	return o.gateway.Send(ctx, string(m.phone), m.text)
}

// pause waits before another attempt, and says whether there is time for one.
func (o *outbox) pause(limit time.Duration) bool {
	timer := time.NewTimer(limit/2 + rand.N(limit/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-o.ctx.Done():
		return false
	}
}
