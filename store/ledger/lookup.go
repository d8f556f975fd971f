package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// lookUp reads what a command needs to know before it is committed. It fails with
// ErrUnavailable if nothing is wrong but the database.
func (l *Ledger) lookUp(ctx context.Context, read func(context.Context) error) error {
	err := l.patiently(ctx, read)
	if err != nil && ctx.Err() == nil && passing(err) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

// patiently reads with the patience of the committer: after a fault, connections
// of the pool are dead or silent.
func (l *Ledger) patiently(ctx context.Context, read func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Patience)
	defer cancel()
	for attempt := 0; ; attempt++ {
		err := l.readOnce(ctx, read)
		if err == nil || !passing(err) || ctx.Err() != nil {
			return err
		}
		time.Sleep(backoff(attempt))
	}
}

func (l *Ledger) readOnce(ctx context.Context, read func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.attemptTimeout())
	defer cancel()
	return read(ctx)
}

// passing tells whether what failed may succeed a moment later.
func passing(err error) bool {
	return !wantsSplit(err) && !slices.ContainsFunc([]error{
		ErrTransactionNotFound, ErrHoldNotFound, ErrAccountAsset, ErrAssetNotFound,
	}, func(answer error) bool { return errors.Is(err, answer) })
}
