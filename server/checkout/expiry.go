package checkout

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store"
)

const (
	// maxDue bounds how many checkouts are looked at in one transaction.
	maxDue = 500
	// sweepTimeout bounds one look at them.
	sweepTimeout = 30 * time.Second
)

// Run expires what isn't paid or captured in time, until ctx ends. All replicas run
// it; each checkout expires once.
func (d *Desk) Run(ctx context.Context) {
	for {
		n, err := d.expire(ctx)
		if err != nil && ctx.Err() == nil {
			d.log.WarnContext(ctx, "expiring checkouts failed; trying again", "error", err)
		}
		pause := d.sweep/2 + rand.N(d.sweep)
		if n == maxDue && err == nil {
			pause = 0
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// expire looks at what is due and at nothing that another replica looks at, and
// returns how much there was.
func (d *Desk) expire(ctx context.Context) (n int, err error) {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	err = d.jobs.InTx(ctx, func(ctx context.Context, q *store.Queries, _ pgx.Tx) error {
		due, err := q.LockDueCheckouts(ctx, maxDue)
		if n = len(due); err != nil || n == 0 {
			return err
		}
		ids, about := make([]uuid.UUID, n), told{}
		for i, r := range due {
			ids[i] = r.ID
			about.add(r.ID, r.MerchantID, r.TerminalID)
		}
		if _, err := resolveIn(ctx, q, Expire, about); err != nil {
			return err
		}
		lapsed, err := q.SettleDueCheckouts(ctx, ids)
		if err != nil {
			return fmt.Errorf("settling what was due: %w", err)
		}
		return tell(ctx, q, Expire, about.of(lapsed))
	})
	return n, err
}
