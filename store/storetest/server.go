package storetest

import (
	"context"
	"os"
	"testing"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/embedded"
)

// Server is a PostgreSQL of one test's own, on a folder that outlasts its stops.
type Server struct {
	t       testing.TB
	options embedded.Options
	running *embedded.Server
}

// NewServer starts a server that the test may stop, kill and start again, and
// migrates its database. Its settings are the durable defaults; the test's own
// go on top. Its port stays the same unless another program takes it meanwhile.
func NewServer(t testing.TB, settings map[string]string) *Server {
	t.Helper()
	s := &Server{t: t, options: embedded.Options{Dir: Dir(t), Settings: settings}}
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	if os.Getenv(FolderVariable) != "" { // else Start and Migrate do it faster
		if err := MakeFolder(ctx, s.options.Dir); err != nil {
			t.Fatalf("make the test's own database: %v", err)
		}
	}
	s.Start()
	t.Cleanup(s.Stop)
	if _, _, err := store.Migrate(ctx, s.URL()); err != nil {
		t.Fatalf("migrate the test's own database: %v", err)
	}
	return s
}

// URL is that of a superuser on the migrated database.
func (s *Server) URL() string { return s.running.URL() }

// Port is where it listens on 127.0.0.1.
func (s *Server) Port() int { return s.running.Port() }

// Start starts it again after Stop or Kill.
func (s *Server) Start() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	running, err := embedded.Start(ctx, s.options)
	if err != nil {
		s.t.Fatalf("start the test's own server: %v", err)
	}
	s.running = running
}

// Stop shuts it down properly: sessions are cut off, what was committed is
// written out.
func (s *Server) Stop() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	if err := s.running.Stop(ctx); err != nil {
		s.t.Errorf("stop the test's own server: %v", err)
	}
}

// Kill ends it as a crash would; its next start recovers.
func (s *Server) Kill() { s.running.Kill() }
