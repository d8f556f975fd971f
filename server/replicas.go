package server

import (
	"context"
	"fmt"
	"os"

	roll "github.com/tillbook/tillbook/server/replica"
)

// join tells the other replicas that this one is there, and follows what they agree
// on. It refuses keys with which this one must not serve.
func (s *Server) join(ctx context.Context, p *pools) error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	r, err := roll.Join(ctx, roll.Config{
		Store: p.jobs, Keys: s.cfg.Secret, Name: fmt.Sprintf("%s %s", host, s.Addr()), Version: s.cfg.Version,
		Sandbox: s.cfg.Sandbox, MaxConns: p.conns(), Interval: s.cfg.ReplicaInterval, Logger: s.cfg.Logger,
	})
	if err != nil {
		return fmt.Errorf("join the other replicas: %w", err)
	}
	s.background(r.Run)
	return nil
}
