package ledger_test

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"
)

// link is one direction of a connection over a wire.
type link struct {
	wire       *wire
	upstream   bool
	age        int64
	cut        <-chan struct{}
	left       int    // bytes before it breaks, or -1
	greeted    bool   // the first message of a client has no type
	pending    []byte // the beginning of a message
	statements map[string]string
}

// carry returns what of the data passes, and what becomes of the rest. What it
// holds back is kept in pending.
func (l *link) carry(data []byte) (out []byte, f fate) {
	if l.silenced() {
		return nil, fate{kind: silence}
	}
	if l.left >= 0 {
		if l.left < len(data) {
			return data[:l.left], fate{kind: cut}
		}
		l.left -= len(data)
		return data, fate{}
	}
	l.pending = append(l.pending, data...)
	for {
		size := l.messageSize()
		if size == 0 || size > len(l.pending) {
			return out, fate{}
		}
		f := l.judge(l.pending[:size])
		if f.kind != pass {
			return out, f
		}
		out = append(append(out, l.pending[:size]...), f.inject...)
		l.pending = l.pending[size:]
	}
}

// messageSize returns the size of the pending message, or 0 if not even that
// has arrived.
func (l *link) messageSize() int {
	head := 1
	if l.upstream && !l.greeted {
		head = 0
	}
	if len(l.pending) < head+4 {
		return 0
	}
	return head + int(binary.BigEndian.Uint32(l.pending[head:]))
}

// judge asks the wire about a message that executes a statement or says that
// one was executed.
func (l *link) judge(message []byte) fate {
	if l.upstream && !l.greeted {
		l.greeted = true
		return fate{}
	}
	kind, body := message[0], message[5:]
	switch {
	case l.upstream && kind == 'P': // Parse: the name and the text
		parts := bytes.SplitN(body, []byte{0}, 3)
		l.statements[string(parts[0])] = string(parts[1])
	case l.upstream && kind == 'B': // Bind: the portal and the name
		parts := bytes.SplitN(body, []byte{0}, 3)
		return l.wire.judge(event{upstream: true, text: l.statements[string(parts[1])]})
	case l.upstream && kind == 'Q':
		return l.wire.judge(event{upstream: true, text: string(bytes.TrimSuffix(body, []byte{0}))})
	case !l.upstream && kind == 'C': // CommandComplete: the tag
		return l.wire.judge(event{text: string(bytes.TrimSuffix(body, []byte{0}))})
	}
	return fate{}
}

func (l *link) silenced() bool { return l.age < l.wire.age.Load() }

// close passes on that the sender closed, unless the link is silenced.
func (l *link) close(stub *toxics.ToxicStub) {
	if l.silenced() {
		<-l.dead()
	}
	stub.Close()
}

// dead receives when a silent connection is given up by those at its ends.
func (l *link) dead() <-chan struct{} {
	if l.wire.keepalive == 0 {
		return l.cut
	}
	dead := make(chan struct{})
	go func() {
		defer close(dead)
		select {
		case <-time.After(l.wire.keepalive):
		case <-l.cut:
		}
	}()
	return dead
}

// end lets a link meet its fate.
func (l *link) end(stub *toxics.ToxicStub, f fate) {
	switch f.kind {
	case cut:
		stub.Close()
	case silence:
		input := stub.Input
		for dead := l.dead(); dead != nil; {
			select {
			case _, ok := <-input:
				if !ok {
					input = nil // closing is not heard of either
				}
			case <-dead:
				dead = nil
			}
		}
		stub.Close()
	case hold:
		l.endHeld(stub, f)
	}
	for range stub.Input { // so that the reader behind it ends
	}
}

// endHeld delivers what was held once it is released.
func (l *link) endHeld(stub *toxics.ToxicStub, f fate) {
	defer stub.Close()
	held := append([]byte(nil), l.pending...)
	input := stub.Input
	for {
		select {
		case chunk, ok := <-input:
			if !ok {
				input = nil // the sender is gone; what it sent is still on its way
				continue
			}
			held = append(held, chunk.Data...)
		case <-f.release:
			stub.Output <- &stream.StreamChunk{Data: held, Timestamp: time.Now()}
			for chunk := range stub.Input {
				stub.Output <- chunk
			}
			return
		case <-l.cut:
			return
		}
	}
}

// errorResponse is the message by which PostgreSQL reports an error.
func errorResponse(severity, code, text string) []byte {
	var body []byte
	for _, field := range []string{"S" + severity, "V" + severity, "C" + code, "M" + text} {
		body = append(append(body, field...), 0)
	}
	body = append(body, 0)
	return append(binary.BigEndian.AppendUint32([]byte{'E'}, uint32(4+len(body))), body...)
}
