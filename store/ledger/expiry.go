package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/trace"

	"github.com/tillbook/tillbook/store/cause"
)

// A hold's own row is the job of expiring it: it is there as long as the hold is
// open, whoever restarts. All replicas look for what is due; expiring has a key of
// its own, so that it happens once.

const selectDue = `
SELECT id, account_id, coalesce(trace, '') FROM holds
 WHERE state = 1 AND expire_time <= clock_timestamp()
 ORDER BY expire_time LIMIT $1`

// maxDue bounds how many holds are expired at a time.
const maxDue = 500

// expire gives back what is held beyond its time, until ctx ends.
func (l *Ledger) expire(ctx context.Context) {
	for {
		n, err := l.expireDue(ctx)
		if err != nil && ctx.Err() == nil {
			l.cfg.Logger.WarnContext(ctx, "expiring holds failed; trying again", "error", err)
		}
		pause := l.cfg.ExpireInterval/2 + rand.N(l.cfg.ExpireInterval)
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

// expireDue expires what is due, and returns how much there was.
func (l *Ledger) expireDue(ctx context.Context) (int, error) {
	bounded, cancel := context.WithTimeout(ctx, l.cfg.attemptTimeout())
	defer cancel()
	rows, err := l.cfg.Jobs.Query(bounded, selectDue, maxDue)
	if err != nil {
		return 0, fmt.Errorf("looking for expired holds: %w", err)
	}
	var commands []Command
	var hold uuid.UUID
	var account AccountID
	var made string
	var causes []trace.SpanContext
	_, err = pgx.ForEachRow(rows, []any{&hold, &account, &made}, func() error {
		causes = cause.Add(causes, cause.Parse(made))
		commands = append(commands, Command{
			Key: NewKey("expire", hold.String()), Fingerprint: Fingerprint("expire", hold.String()),
			Accounts: []AccountID{account}, Hold: hold, Counted: true, Decide: expireHold,
		})
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("looking for expired holds: %w", err)
	}
	ctx, span := cause.Start(cause.WithTracer(ctx, l.tracer), "ledger.expire_holds", causes)
	defer span.End()
	for _, a := range l.CommitEach(ctx, commands) {
		if a.Err != nil && !errors.Is(a.Err, ErrHoldClosed) && !errors.Is(a.Err, ErrClosed) {
			return 0, fmt.Errorf("expiring a hold: %w", a.Err)
		}
	}
	return len(commands), nil
}
