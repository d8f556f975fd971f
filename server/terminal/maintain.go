package terminal

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/store"
)

const (
	// silence is after how much of it a session is given up.
	silence = 3 * heartbeatEvery
	// roundTimeout bounds one round.
	roundTimeout = 30 * time.Second
	// sweepBatch bounds what one statement of a sweep locks and deletes.
	sweepBatch = 1000
)

// maintain compares sessions with the database, ends those that fell silent and
// forgets assertions that have expired, until ctx ends.
func (s *Service) maintain(ctx context.Context) {
	timer := time.NewTicker(s.config.Recheck)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		roundCtx, cancel := context.WithTimeout(ctx, roundTimeout)
		if err := s.recheck(roundCtx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "sessions can't be compared with the database", "error", err)
		}
		if err := s.sweep(roundCtx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "old assertions can't be deleted", "error", err)
		}
		cancel()
	}
}

// recheck ends every session that should have ended, in case an event of it never
// came: all in one statement.
func (s *Service) recheck(ctx context.Context) error {
	all := s.hub.everybody()
	if len(all) == 0 {
		return nil
	}
	ids := make([]uuid.UUID, len(all))
	for i, ses := range all {
		ids[i] = ses.terminal
	}
	rows, err := s.store.Queries().ListTerminalStandings(ctx, ids)
	if err != nil {
		return fmt.Errorf("reading how terminals stand: %w", err)
	}
	standings := make(map[uuid.UUID]standing, len(rows))
	for _, r := range rows {
		standings[r.ID] = standing{epoch: r.Epoch, active: r.Active, revoked: r.Revoked, keyShared: r.KeyShared}
	}
	latest := s.now().Add(-silence)
	for _, ses := range all {
		if err := standings[ses.terminal].refuse(ses.epoch); err != nil {
			ses.end(err)
		} else if ses.heardBefore(latest) {
			ses.end(errSilent)
		}
	}
	return nil
}

func (s *session) heardBefore(t time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard.Before(t)
}

// sweep deletes assertions that nobody can use any more, in small batches.
func (s *Service) sweep(ctx context.Context) error {
	for {
		n, err := s.pools.Jobs.Queries().DeleteOldAssertions(ctx, store.DeleteOldAssertionsParams{Before: s.now(), MaxRows: sweepBatch})
		if err != nil {
			return fmt.Errorf("deleting old assertions: %w", err)
		}
		if n < sweepBatch {
			return nil
		}
	}
}
