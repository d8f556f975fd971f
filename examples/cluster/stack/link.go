package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// Link is a way over the network that can be made to misbehave. Without
// Options.Proxied there are none.
type Link struct {
	name  string
	proxy *toxiproxy.Proxy
	// silenced says that connections have lost something for good.
	silenced atomic.Bool
}

// newLink lets connections to one address through to another.
func newLink(name, listen, to string) (*Link, error) {
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	l := &Link{name: name, proxy: toxiproxy.NewProxy(server, name, listen, to)}
	if err := l.proxy.Start(); err != nil {
		return nil, fmt.Errorf("link %s: %w", name, err)
	}
	return l, nil
}

// Name says from where to where it leads, such as "replica-0>db-1".
func (l *Link) Name() string { return l.name }

// Address is where it listens, "127.0.0.1:PORT".
func (l *Link) Address() string { return l.proxy.Listen }

// Down closes all connections and refuses new ones.
func (l *Link) Down() { l.proxy.Stop() }

// Up accepts connections again. What Add added stays.
func (l *Link) Up() error {
	if err := l.proxy.Start(); err != nil && !errors.Is(err, toxiproxy.ErrProxyAlreadyStarted) {
		return err
	}
	return nil
}

// Add adds a toxic of toxiproxy, built in or registered by the caller, to one
// direction: "upstream" is towards the database.
func (l *Link) Add(kind, direction string, attributes map[string]any) error {
	toxic, err := json.Marshal(map[string]any{
		"name": kind + "-" + direction, "type": kind, "stream": direction, "toxicity": 1, "attributes": attributes,
	})
	if err != nil {
		return err
	}
	if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(string(toxic))); err != nil {
		return fmt.Errorf("link %s: add %s: %w", l.name, kind, err)
	}
	return nil
}

// Delay keeps everything back for that long, on the way there.
func (l *Link) Delay(d time.Duration) error {
	return l.Add("latency", "upstream", map[string]any{"latency": d.Milliseconds()})
}

// Throttle lets only so many kilobytes a second through, each way.
func (l *Link) Throttle(kilobytes int) error {
	if err := l.Add("bandwidth", "upstream", map[string]any{"rate": kilobytes}); err != nil {
		return err
	}
	return l.Add("bandwidth", "downstream", map[string]any{"rate": kilobytes})
}

// Silence swallows everything both ways and keeps connections open, half-open ones
// included.
func (l *Link) Silence() error {
	l.silenced.Store(true)
	if err := l.Add("timeout", "upstream", map[string]any{"timeout": 0}); err != nil {
		return err
	}
	return l.Add("timeout", "downstream", map[string]any{"timeout": 0})
}

// Deafen swallows only what comes back, such as the answers to commits.
func (l *Link) Deafen() error {
	l.silenced.Store(true)
	return l.Add("timeout", "downstream", map[string]any{"timeout": 0})
}

// Heal removes all toxics and accepts connections. Those that were silenced are
// closed: what they swallowed is lost.
func (l *Link) Heal() error {
	if l.silenced.Swap(false) {
		l.Down()
	}
	l.proxy.Toxics.ResetToxics(context.Background())
	return l.Up()
}
