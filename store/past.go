package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Past reads what can't change any more, such as the entries of last month, and
// spares the primary if there is a standby that is known to have all of it.
//
// How far a standby is behind is measured and not believed: the primary's place in
// its log is noted twice a second, and the standby has everything that was committed
// before the newest of those places that it has replayed. How long ago that was is
// measured here, and what is older than it is told by the primary's clock, by which
// the books go: so a machine whose clock is wrong reads nothing too early, and a
// standby that is cut off counts as one that falls behind. One that follows another
// timeline than the primary's isn't used at all.
type Past struct {
	primary *Store
	standby *Store // nil if there is none
	events  *Store
	maxLag  time.Duration
	log     *slog.Logger

	places []walPlace               // the primary's, oldest first; Run's own
	has    atomic.Pointer[walPlace] // what was committed before is on the standby; nil if unknown
}

// PastConfig says where to read.
type PastConfig struct {
	// Primary is where to read what a standby hasn't. Required.
	Primary *Store
	// Events asks the primary how far it is. Required with StandbyURL.
	Events *Store
	// StandbyURL is a connection string that leads to one standby: the pages of one
	// answer must not come from several. Default: none.
	StandbyURL string
	// MaxConns bounds the connections to it. Default 4.
	MaxConns int32
	// MaxLag is how far behind a standby may be and still be used. Default 10 s.
	MaxLag time.Duration
	// Logger gets what an operator should know. Default: nothing is logged.
	Logger *slog.Logger
}

// commitMargin is more than there can be between the time that a transaction carries
// and its commit.
const commitMargin = time.Minute

var errManyStandbys = errors.New("the URL of the standby names several hosts; name one")

// OpenPast returns a Past. A standby that can't be reached now may be later.
func OpenPast(ctx context.Context, cfg PastConfig) (*Past, error) {
	p := &Past{primary: cfg.Primary, events: cfg.Events, maxLag: cfg.MaxLag, log: cfg.Logger}
	if p.maxLag <= 0 {
		p.maxLag = 10 * time.Second
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if cfg.StandbyURL == "" {
		return p, nil
	}
	if cfg.MaxConns <= 0 {
		cfg.MaxConns = 4
	}
	of := cfg.Primary.config
	of.URL, of.MaxConns = cfg.StandbyURL, cfg.MaxConns
	config, err := poolConfig(of)
	if err != nil {
		return nil, fmt.Errorf("the standby: %w", err)
	}
	for _, other := range config.ConnConfig.Fallbacks { // the same host without TLS is no other
		if other.Host != config.ConnConfig.Host || other.Port != config.ConnConfig.Port {
			return nil, errManyStandbys
		}
	}
	config.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsStandby
	if p.standby, err = open(ctx, config); err != nil {
		return nil, fmt.Errorf("open the standby: %w", err)
	}
	return p, nil
}

// Close closes the connections to the standby.
func (p *Past) Close() {
	if p.standby != nil {
		p.standby.Close()
	}
}

// Reading returns a context in which what is older than a time is read on the
// standby, if that has it, and else on the primary. What is read must be the same
// whenever it is read: what was committed by then and never changes.
func (p *Past) Reading(ctx context.Context, olderThan time.Time) context.Context {
	if p == nil {
		return ctx
	}
	has := p.has.Load()
	if has != nil && time.Since(has.noted) <= p.maxLag && olderThan.Before(has.at.Add(-commitMargin)) {
		return p.standby.Reading(ctx)
	}
	return p.primary.Reading(ctx)
}

// Staleness is how far the standby is behind at the most; ok is false if there is
// none or it isn't known.
func (p *Past) Staleness() (behind time.Duration, ok bool) {
	has := p.has.Load()
	if has == nil {
		return 0, false
	}
	return time.Since(has.noted), true
}

const (
	placeEvery = 500 * time.Millisecond
	// standbyPatience is how long a standby may take to answer.
	standbyPatience = 2 * time.Second
	// maxPlaces is enough to find a standby usable that is as far behind as is usual.
	maxPlaces = 240
)

// Run follows how far the standby is, until ctx ends.
func (p *Past) Run(ctx context.Context) {
	if p.standby == nil {
		return
	}
	tick := time.NewTicker(placeEvery)
	defer tick.Stop()
	failing := false
	for {
		round, cancel := context.WithTimeout(ctx, p.maxLag)
		err := p.look(round)
		cancel()
		if err != nil && !failing && ctx.Err() == nil {
			p.log.WarnContext(ctx, "how far the standby is can't be told; it isn't read", "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// walPlace is where the primary's log was at a time.
type walPlace struct {
	noted    time.Time // by this machine's clock, for how long ago it was
	at       time.Time // by the primary's, as all times in the books
	lsn      int64
	timeline int32
}

const (
	// The name of a file of the log begins with its timeline, and only a primary can
	// tell it.
	selectPlace = `
SELECT now.at, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint,
       ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int
  FROM (SELECT clock_timestamp() AS at OFFSET 0) AS now`
	// A standby says late, and never too early, that it has changed timelines.
	selectReplayed = `
SELECT coalesce(pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0'), 0)::bigint,
       (SELECT timeline_id FROM pg_control_checkpoint())`
)

// look notes where the primary is, and finds what the standby has of it.
func (p *Past) look(ctx context.Context) error {
	now := walPlace{noted: time.Now()}
	if err := scanPlace(ctx, p.events.Pool, selectPlace, &now.at, &now.lsn, &now.timeline); err != nil {
		return fmt.Errorf("asking the primary: %w", err)
	}
	if n := len(p.places); n > 0 && p.places[n-1].timeline != now.timeline {
		p.places = nil
	}
	if p.places = append(p.places, now); len(p.places) > maxPlaces {
		p.places = p.places[len(p.places)-maxPlaces:]
	}
	var replayed walPlace
	asking, cancel := context.WithTimeout(ctx, standbyPatience)
	defer cancel()
	if err := scanPlace(asking, p.standby.Pool, selectReplayed, &replayed.lsn, &replayed.timeline); err != nil {
		p.has.Store(nil) // what it doesn't tell here it tells nobody
		return fmt.Errorf("asking the standby: %w", err)
	}
	if replayed.timeline != now.timeline {
		p.has.Store(nil)
		return nil
	}
	for i := len(p.places) - 1; i >= 0; i-- {
		if p.places[i].lsn <= replayed.lsn {
			has := p.places[i]
			p.has.Store(&has)
			return nil
		}
	}
	return nil
}

func scanPlace(ctx context.Context, pool *pgxpool.Pool, query string, into ...any) error {
	rows, err := pool.Query(ctx, query)
	if err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, into, func() error { return nil })
	return err
}
