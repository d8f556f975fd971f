package server

import (
	"context"

	"github.com/tillbook/tillbook/server/clock"
	"github.com/tillbook/tillbook/store"
)

// followClock has everything that judges by time go by the database's clock, as all
// other replicas do.
func (s *Server) followClock(ctx context.Context, db *store.Store) error {
	c, err := clock.Open(ctx, clock.Config{Ask: db.Queries().GetClock, Machine: s.cfg.Clock, Logger: s.cfg.Logger})
	if err != nil {
		return err
	}
	s.background(c.Run)
	s.now = c.Now
	return nil
}
