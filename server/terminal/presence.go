package terminal

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/store"
)

const (
	// writeTimeout bounds one write of presence, also the last one.
	writeTimeout = 10 * time.Second
	// maxWritten bounds the terminals that one transaction writes of. Events are told
	// only once every transaction is over that was under way before them, so it must
	// not take long.
	maxWritten = 200
	// unknownBattery stands for a device that didn't say how it is.
	unknownBattery = -1
)

// seen is what is known of a terminal since the last write.
type seen struct {
	epoch, confirmed int64
	acked            uint64
	connected, slow  bool
	health           *terminalv1.Health // nil if it didn't say
	at               time.Time
}

// presence collects what terminals say and writes it now and then, a statement for
// many of them.
type presence struct {
	store *store.Store
	every time.Duration
	log   *slog.Logger

	mu   sync.Mutex
	news map[uuid.UUID]seen
}

func newPresence(d Deps) *presence {
	return &presence{store: d.Pools.Jobs, every: d.Config.Flush, log: d.Logger, news: make(map[uuid.UUID]seen)}
}

// note takes down what a session knows.
func (p *presence) note(terminal uuid.UUID, s seen) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if before, ok := p.news[terminal]; ok {
		s = merged(before, s)
	}
	p.news[terminal] = s
}

// merged is what two notes say together: of two sessions the newer one counts, and
// nothing that was acknowledged is forgotten.
func merged(before, s seen) seen {
	if before.epoch > s.epoch {
		before, s = s, before
	}
	s.confirmed = max(s.confirmed, before.confirmed)
	s.acked = max(s.acked, before.acked)
	if s.health == nil {
		s.health = before.health
	}
	if before.at.After(s.at) {
		s.at = before.at
	}
	return s
}

// run writes until ctx ends, and once more then.
func (p *presence) run(ctx context.Context) {
	repeat(ctx, nil, p.every, func() {
		writeCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
		if err := p.write(writeCtx); err != nil {
			p.log.WarnContext(ctx, "what terminals say can't be written", "error", err)
		}
		cancel()
	})
}

// write writes what there is; after an error the rest is kept for the next time.
func (p *presence) write(ctx context.Context) error {
	p.mu.Lock()
	news := p.news
	p.news = make(map[uuid.UUID]seen)
	p.mu.Unlock()
	for terminals := range slices.Chunk(slices.Collect(maps.Keys(news)), maxWritten) {
		if err := p.store.Queries().WritePresence(ctx, presenceRows(terminals, news)); err != nil {
			p.keep(news)
			return fmt.Errorf("writing presence: %w", err)
		}
		for _, terminal := range terminals {
			delete(news, terminal)
		}
	}
	return nil
}

// keep takes what wasn't written down again.
func (p *presence) keep(news map[uuid.UUID]seen) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for terminal, before := range news {
		if now, ok := p.news[terminal]; ok {
			before = merged(before, now)
		}
		p.news[terminal] = before
	}
}

func presenceRows(terminals []uuid.UUID, news map[uuid.UUID]seen) store.WritePresenceParams {
	var rows store.WritePresenceParams
	for _, terminal := range terminals {
		s := news[terminal]
		battery := int16(unknownBattery)
		if s.health != nil {
			battery = int16(s.health.GetBatteryPercent())
		}
		rows.TerminalIds = append(rows.TerminalIds, terminal)
		rows.Epochs = append(rows.Epochs, s.epoch)
		rows.ConfirmedEpochs = append(rows.ConfirmedEpochs, s.confirmed)
		rows.Acked = append(rows.Acked, int64(s.acked))
		rows.Connected = append(rows.Connected, s.connected)
		rows.Slow = append(rows.Slow, s.slow)
		rows.BatteryPercents = append(rows.BatteryPercents, battery)
		rows.Charging = append(rows.Charging, s.health.GetCharging())
		rows.Networks = append(rows.Networks, s.health.GetNetwork())
		rows.SignalPercents = append(rows.SignalPercents, int16(s.health.GetSignalPercent()))
		rows.Versions = append(rows.Versions, s.health.GetSoftwareVersion())
		rows.LastSeenTimes = append(rows.LastSeenTimes, s.at)
	}
	return rows
}
