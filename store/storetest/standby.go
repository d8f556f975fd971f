package storetest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store/embedded"
)

// Standby starts a standby of the server, which is down for a moment meanwhile, and
// returns once it has all that the server has. Stop, Kill and Start work on it as on
// the server.
func (s *Server) Standby() *Server {
	s.t.Helper()
	s.Stop()
	dir := Dir(s.t)
	if out, err := exec.Command("cp", "-a", s.options.Dir, dir).CombinedOutput(); err != nil {
		s.t.Fatalf("copy the server: %v: %s", err, out)
	}
	signal := filepath.Join(dir, "data", "standby.signal")
	if out, err := exec.Command("cp", "-a", filepath.Join(dir, "data", "PG_VERSION"), signal).CombinedOutput(); err != nil {
		s.t.Fatalf("make a standby: %v: %s", err, out) // copied for its owner
	}
	if err := os.Remove(filepath.Join(dir, "port")); err != nil {
		s.t.Fatal(err)
	}
	s.Start()
	standby := &Server{t: s.t, options: embedded.Options{Dir: dir, Settings: map[string]string{"primary_conninfo": s.URL()}}}
	standby.Start()
	s.t.Cleanup(standby.Stop)
	s.Wait("the standby follows", `SELECT count(*) = 1 FROM pg_stat_replication WHERE state = 'streaming' AND replay_lsn >= pg_current_wal_lsn()`)
	return standby
}

// Promote makes a standby a primary.
func (s *Server) Promote() {
	s.t.Helper()
	s.Exec(`SELECT pg_promote(true)`)
}

// Exec runs a statement as a superuser.
func (s *Server) Exec(sql string, args ...any) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL())
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql, args...); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
}

// Wait waits until a query that returns a boolean says so.
func (s *Server) Wait(what, query string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL())
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(ctx)
	for yes := false; !yes; time.Sleep(10 * time.Millisecond) {
		if err := conn.QueryRow(ctx, query).Scan(&yes); err != nil {
			s.t.Fatalf("waiting until %s: %v", what, err)
		}
	}
}
