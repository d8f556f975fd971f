package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	leftoverTimeout = 60 * time.Second
	// A server that loses its process shuts down by itself; that is waited for
	// before anything is done about it.
	leftoverGrace = 2 * time.Second
)

// lockServer takes postgres.lock, for the program that is about to be started to
// inherit: it lasts until the last process that has it is gone. A server of an
// earlier process that is still there is waited for, and shut down if it doesn't
// go. The caller holds tillbook.lock.
func (s *Server) lockServer(ctx context.Context) (*os.File, error) {
	start, told := time.Now(), false
	for {
		lock, err := lockFile(s.folder.file("postgres.lock"))
		if err == nil {
			s.folder.clearStalePid()
			return lock, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock the data folder for PostgreSQL: %w", err)
		}
		pid := readNumber(s.folder.file("data/postmaster.pid"))
		if !told && pid > 1 && time.Since(start) > leftoverGrace {
			fmt.Fprintf(s.options.Log, "Shutting down a PostgreSQL (pid %d) that an earlier run left behind\n", pid)
			_ = syscall.Kill(pid, syscall.SIGINT)
			told = true
		}
		if time.Since(start) > leftoverTimeout {
			return nil, refuse(ErrInUse,
				"a PostgreSQL of an earlier run still has the data folder %s and doesn't shut down: end it (its process is %d) and try again",
				s.folder, pid)
		}
		if err := sleep(ctx, pollInterval); err != nil {
			return nil, fmt.Errorf("wait for a PostgreSQL of an earlier run to shut down: %w", err)
		}
	}
}

// clearStalePid removes the note of a server that was killed when its process id
// belongs to something else by now, as happens in containers: PostgreSQL would
// believe that it still runs. That it doesn't is known from postgres.lock, which
// the caller holds. A server that somebody started on the data by hand is a
// postgres, and its note stays.
func (f folder) clearStalePid() {
	path := f.file("data/postmaster.pid")
	pid := readNumber(path)
	if pid <= 0 {
		return
	}
	name, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	if err != nil || strings.TrimSpace(string(name)) == "postgres" {
		return
	}
	_ = os.Remove(path)
}
