package checkout

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/cause"
)

const (
	// maxDue bounds how many checkouts are looked at in one transaction.
	maxDue = 500
	// maxSettled bounds how many paid ones are seen to in one transaction: nothing is
	// told to terminals while it lasts.
	maxSettled = 100
	// maxPaid bounds what is remembered of what was paid while the database doesn't
	// answer.
	maxPaid = 100_000
	// sweepTimeout bounds one look at them.
	sweepTimeout = 30 * time.Second
)

// Run expires what isn't paid or captured in time, until ctx ends. All replicas run
// it; each checkout expires once.
func (d *Desk) Run(ctx context.Context) {
	for {
		n, err := d.tidy(ctx)
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

// tidy sees to what was paid here and then to what is due, and returns how much of
// the latter there was.
func (d *Desk) tidy(ctx context.Context) (n int, err error) {
	for chunk := range slices.Chunk(d.paid.take(), maxSettled) {
		if err := d.settle(ctx, chunk); err != nil {
			return 0, err
		}
	}
	return d.expire(ctx)
}

// settle takes checkouts that were paid off the list of those that may be open, long
// before they are due. That list is what bounds how many are open, and has to be read
// for each new one. What is forgotten here is found when it is due.
func (d *Desk) settle(ctx context.Context, paid []uuid.UUID) error {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	if _, err := d.jobs.Queries().SettleDueCheckouts(ctx, paid); err != nil {
		return fmt.Errorf("settling what was paid: %w", err)
	}
	return nil
}

// paid are the checkouts that were paid at one replica and not yet seen to.
type paid struct {
	mu  sync.Mutex
	ids []uuid.UUID
}

func (p *paid) add(checkout uuid.UUID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.ids) < maxPaid {
		p.ids = append(p.ids, checkout)
	}
}

func (p *paid) take() []uuid.UUID {
	p.mu.Lock()
	defer p.mu.Unlock()
	ids := p.ids
	p.ids = nil
	return ids
}

// expire looks at what is due and at nothing that another replica looks at, and
// returns how much there was.
func (d *Desk) expire(ctx context.Context) (n int, err error) {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	err = d.jobs.InTx(ctx, func(ctx context.Context, q *store.Queries, tx pgx.Tx) error {
		due, err := q.LockDueCheckouts(ctx, maxDue)
		if n = len(due); err != nil || n == 0 {
			return err
		}
		ids, about, traces := make([]uuid.UUID, n), told{}, make([]string, n)
		for i, r := range due {
			ids[i], traces[i] = r.ID, r.Trace
			about.add(r.ID, r.MerchantID, r.TerminalID)
		}
		ctx, span := cause.Start(ctx, "checkout.expire", cause.Parsed(traces...))
		defer span.End()
		if err := store.NameTrace(ctx, tx); err != nil {
			return err
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
