package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// lagEvery is how often it is looked how far sealing lags behind.
const lagEvery = 100 * time.Millisecond

// selectLag is the age in seconds of the oldest commit that the log hasn't sealed.
const selectLag = `
SELECT coalesce((
       SELECT extract(epoch FROM clock_timestamp() - e.create_time)
         FROM events e
        WHERE e.xid >= h.cursor AND e.type = 'ledger.committed'
          AND NOT EXISTS (SELECT FROM log_batches b WHERE b.event_id = e.id)
        ORDER BY e.xid, e.id LIMIT 1), 0)::float8
  FROM log_head h`

// whileSealing measures, and notes in the sample how far sealing lagged behind
// meanwhile.
func (db *database) whileSealing(ctx context.Context, do func(context.Context) (sample, error)) (sample, error) {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	var lags latencies
	var failed error
	var work sync.WaitGroup
	work.Go(func() { lags, failed = db.watchLag(watching) })
	s, err := do(ctx)
	stop()
	work.Wait()
	if len(lags) > 0 {
		slices.Sort(lags)
		s.SealLag, s.SealLagMost = lags.quantile(0.5), lags[len(lags)-1]
	}
	return s, errors.Join(err, failed)
}

// watchLag looks at the lag until ctx ends.
func (db *database) watchLag(ctx context.Context) (all latencies, err error) {
	tick := time.NewTicker(lagEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return all, nil
		case <-tick.C:
		}
		var seconds float64
		if err := db.owner.QueryRow(ctx, selectLag).Scan(&seconds); err != nil && ctx.Err() == nil {
			return all, fmt.Errorf("looking how far sealing lags behind: %w", err)
		}
		all = append(all, time.Duration(seconds*float64(time.Second)))
	}
}
