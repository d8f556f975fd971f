package auth_test

import (
	"context"
	"regexp"
	"sync"
	"testing"
	"time"
)

// phones is the telephone network: every message that was sent.
type phones struct {
	mu       sync.Mutex
	arrived  *sync.Cond
	messages map[string][]string
	fail     func(phone string) error
}

func newPhones() *phones {
	p := &phones{messages: make(map[string][]string)}
	p.arrived = sync.NewCond(&p.mu)
	return p
}

func (p *phones) Send(_ context.Context, phone, text string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		if err := p.fail(phone); err != nil {
			return err
		}
	}
	p.messages[phone] = append(p.messages[phone], text)
	p.arrived.Broadcast()
	return nil
}

// gatewayFunc is a gateway that does something and delivers nothing.
type gatewayFunc func(ctx context.Context) error

func (f gatewayFunc) Send(ctx context.Context, _, _ string) error { return f(ctx) }

// next takes the oldest message that wasn't taken yet, and waits for it.
func (p *phones) next(t testing.TB, phone string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	defer context.AfterFunc(ctx, p.arrived.Broadcast)()
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.messages[phone]) == 0 {
		if ctx.Err() != nil {
			t.Fatalf("no message came to %s", phone)
		}
		p.arrived.Wait()
	}
	text := p.messages[phone][0]
	p.messages[phone] = p.messages[phone][1:]
	return text
}

var codePattern = regexp.MustCompile(`\b[0-9]{6}\b`)

// code takes the next message and the code in it.
func (p *phones) code(t testing.TB, phone string) string {
	t.Helper()
	text := p.next(t, phone)
	code := codePattern.FindString(text)
	if code == "" {
		t.Fatalf("no code in %q", text)
	}
	return code
}

func (p *phones) count(phone string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.messages[phone])
}
