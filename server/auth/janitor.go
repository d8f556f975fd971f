package auth

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tillbook/tillbook/store"
)

const (
	// sweepBatch bounds what one statement locks and deletes.
	sweepBatch = 500
	// challengeRest is how long a challenge is kept after it expired, to tell a
	// late code that it is late.
	challengeRest = 24 * time.Hour
	// sessionRest is how long a session is kept after it expired, to tell its
	// owner so.
	sessionRest = 24 * time.Hour
	// pollTimeout bounds one look for revocations.
	pollTimeout = 5 * time.Second
	// maintainTimeout bounds one round of maintenance.
	maintainTimeout = 30 * time.Second
)

// follow looks for revoked sessions until the context ends. Of a series of
// failures it logs the first.
func (s *Service) follow(ctx context.Context) {
	failing := false
	for s.sleep(ctx, s.config.PollInterval) {
		pollCtx, cancel := context.WithTimeout(ctx, pollTimeout)
		err := s.revoked.poll(pollCtx)
		cancel()
		if err != nil && !failing && ctx.Err() == nil {
			s.log.WarnContext(ctx, "revoked sessions can't be followed", "error", err)
		}
		if err == nil && failing {
			s.log.InfoContext(ctx, "revoked sessions are followed again")
		}
		failing = err != nil
	}
}

// maintain rotates keys and clears up until the context ends.
func (s *Service) maintain(ctx context.Context) {
	for s.sleep(ctx, s.config.MaintainInterval) {
		roundCtx, cancel := context.WithTimeout(ctx, maintainTimeout)
		err := errors.Join(s.keys.maintain(roundCtx), s.sweep(roundCtx))
		cancel()
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "maintenance failed", "error", err)
		}
	}
}

// sleep waits for an interval, give or take a tenth, so that replicas don't march
// in step. It says whether to go on.
func (s *Service) sleep(ctx context.Context, interval time.Duration) bool {
	timer := time.NewTimer(interval - interval/10 + rand.N(interval/5+1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// sweep deletes what has expired, in small batches.
func (s *Service) sweep(ctx context.Context) error {
	s.revoked.forget()
	now, q := s.now(), s.jobs.Queries()
	_, limitErr := s.limiter.Sweep(ctx)
	return errors.Join(limitErr,
		inBatches("challenges", func() (int64, error) {
			return q.DeleteOldChallenges(ctx, store.DeleteOldChallengesParams{Before: now.Add(-challengeRest), MaxRows: sweepBatch})
		}),
		inBatches("sessions", func() (int64, error) {
			return q.DeleteOldSessions(ctx, store.DeleteOldSessionsParams{Before: now.Add(-sessionRest), MaxRows: sweepBatch})
		}),
		inBatches("devices", func() (int64, error) {
			return q.DeleteOldDevices(ctx, store.DeleteOldDevicesParams{Before: now, MaxRows: sweepBatch})
		}),
		inBatches("revocations", func() (int64, error) {
			return q.DeleteOldRevocations(ctx, store.DeleteOldRevocationsParams{Before: now.Add(-2 * s.revoked.keep), MaxRows: sweepBatch})
		}),
	)
}

// inBatches deletes until a batch isn't full.
func inBatches(what string, deleteBatch func() (int64, error)) error {
	for {
		n, err := deleteBatch()
		if err != nil {
			return fmt.Errorf("delete old %s: %w", what, err)
		}
		if n < sweepBatch {
			return nil
		}
	}
}
