// Package clock tells all replicas the same time: that of their database.
//
// Replicas judge what others made: a token's times, a code's end, a terminal's
// assertion, a limit that counts from now on. If one machine's clock is minutes off,
// its tokens are not valid yet at the others, who sign people out, and terminals that
// follow one replica's clock are refused by the next. The books already go by the
// database's clock. A [Clock] measures by how much that is ahead of this machine's, at
// the start and then every half minute, and adds it.
//
// A measurement is as good as its round trip is short: the database looked at its
// clock somewhere within. What that can explain isn't corrected, so machines whose
// clocks are right are left alone.
package clock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

const (
	// every is how often Run measures.
	every = 30 * time.Second
	// tries is how often a measurement is made, of which the quickest counts.
	tries = 3
	// askTimeout bounds each try.
	askTimeout = 5 * time.Second
	// tolerated is how far off a clock may be without being corrected: well-kept ones
	// are better than this.
	tolerated = 200 * time.Millisecond
	// told is from which difference on an operator hears of it.
	told = time.Second
)

// Config says which clocks there are.
type Config struct {
	// Ask returns what the database's clock says. Required.
	Ask func(context.Context) (time.Time, error)
	// Machine is this machine's clock. Default time.Now.
	Machine func() time.Time
	// Logger gets what an operator should know. Default: nothing is logged.
	Logger *slog.Logger
}

// Clock tells the time. It is safe for concurrent use.
type Clock struct {
	cfg   Config
	ahead atomic.Int64 // by how much the database's clock is ahead of this machine's
}

// Open measures for the first time. Run goes on.
func Open(ctx context.Context, cfg Config) (*Clock, error) {
	if cfg.Machine == nil {
		cfg.Machine = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Clock{cfg: cfg}
	return c, c.set(ctx)
}

// Now is the time.
func (c *Clock) Now() time.Time { return c.cfg.Machine().Add(time.Duration(c.ahead.Load())) }

// Run measures until ctx ends. A database that can't be asked leaves the clock as it
// is.
func (c *Clock) Run(ctx context.Context) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if err := c.set(ctx); err != nil && ctx.Err() == nil {
			c.cfg.Logger.WarnContext(ctx, "the database's clock can't be read", "error", err)
		}
	}
}

// set measures, and corrects what the measurement's uncertainty doesn't explain.
func (c *Clock) set(ctx context.Context) error {
	ahead, uncertain, err := c.measure(ctx)
	if err != nil {
		return fmt.Errorf("reading the database's clock: %w", err)
	}
	before := time.Duration(c.ahead.Load())
	if (ahead - before).Abs() <= uncertain+tolerated {
		return nil
	}
	c.ahead.Store(int64(ahead))
	if ahead.Abs() >= told || before.Abs() >= told {
		c.cfg.Logger.WarnContext(ctx, "this machine's clock differs from the database's, whose is used", "database_ahead", ahead)
	}
	return nil
}

// measure returns by how much the database's clock is ahead, give or take how much.
func (c *Clock) measure(ctx context.Context) (ahead, uncertain time.Duration, err error) {
	var failed error
	measured := false
	for range tries {
		asking, cancel := context.WithTimeout(ctx, askTimeout)
		begun := time.Now() // a round trip is as long by any clock
		at, err := c.cfg.Ask(asking)
		half := time.Since(begun) / 2
		cancel()
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		if !measured || half < uncertain {
			ahead, uncertain, measured = at.Add(half).Sub(c.cfg.Machine()), half, true
		}
	}
	if !measured {
		return 0, 0, failed
	}
	return ahead, uncertain, nil
}
