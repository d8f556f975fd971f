package embedded

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Options say what to run.
type Options struct {
	// Dir is the data folder. It is made if it isn't there.
	Dir string

	// Settings are server settings on top of the defaults, which are durable:
	// {"max_connections": "500"}. Where and how the server listens is not for
	// them to say.
	Settings map[string]string

	// Log gets a line about each thing that takes a while. Default: none.
	Log io.Writer
}

// Names of the owner role, a superuser of its own cluster, and of the database.
const (
	ownerName    = "tillbook"
	databaseName = "tillbook"
)

// Server is a PostgreSQL that runs.
type Server struct {
	folder    folder
	temporary bool
	url       string
	port      int

	// The rest is empty for a server that another process runs.
	options      Options
	installation Installation
	account      account
	process      *process
	lock         *os.File

	stop    sync.Once
	stopErr error
}

// defaults keep what was committed, whatever happens to the machine.
var defaults = map[string]string{
	"fsync":              "on",
	"full_page_writes":   "on",
	"synchronous_commit": "on",
	"max_connections":    "200",
	"shared_buffers":     "256MB",
	"max_wal_size":       "2GB",
	// A new database has no statistics, and soon more rows than plans without them
	// are good for.
	"autovacuum_naptime": "10s",
	"jit":                "off",
	"timezone":           "UTC",
	"log_timezone":       "UTC",
}

// Start runs a server on the folder and returns once it takes connections. The
// context bounds the start and nothing else; to end the server, call Stop.
func Start(ctx context.Context, opts Options) (*Server, error) {
	f, err := folderAt(opts.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{folder: f, options: opts}
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// StartTemporary runs a server on a new folder of its own, which goes when the
// server stops or this process ends in whatever way. Options.Dir is where the
// folder is made; default: the system's folder for temporary files.
func StartTemporary(ctx context.Context, opts Options) (*Server, error) {
	a, err := serverAccount("")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(opts.Dir, "tillbook-postgres-")
	if err != nil {
		return nil, fmt.Errorf("make a temporary data folder: %w", err)
	}
	s := &Server{folder: folder(dir), temporary: true, options: opts}
	// The folder is the account's, so that the watchdog can take it away without
	// being root.
	if err = a.own(dir); err == nil {
		err = s.start(ctx)
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return s, nil
}

func (s *Server) start(ctx context.Context) (err error) {
	if s.options.Log == nil {
		s.options.Log = io.Discard
	}
	f := s.folder
	if s.installation, err = f.findInstallation(ctx); err != nil {
		return err
	}
	if s.account, err = serverAccount(f.data()); err != nil {
		return err
	}
	if s.lock, err = f.claim(s.account); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			unlock(s.lock)
		}
	}()
	if s.account, err = s.account.reach(ctx, string(f)); err != nil {
		return err
	}
	password, err := s.initialize(ctx)
	if err != nil {
		return err
	}
	return s.run(ctx, password)
}

// findInstallation finds the PostgreSQL that fits the folder.
func (f folder) findInstallation(ctx context.Context) (Installation, error) {
	major, err := f.major()
	if err != nil {
		return Installation{}, err
	}
	i, err := places{}.find(ctx, major)
	if other, ok := err.(*otherVersion); ok {
		return i, refuse(ErrOtherVersion,
			"the data folder %s was made by PostgreSQL %d, but this machine has %d: install the other with `%s`, or choose another --data-dir",
			f, other.made, other.installed, installCommand(other.made))
	}
	return i, err
}

// portAttempts bounds how often another program may take the port between our
// looking and PostgreSQL's binding.
const portAttempts = 3

// run launches the server and waits until it takes connections.
func (s *Server) run(ctx context.Context, password string) error {
	for attempt := 1; ; attempt++ {
		port, err := s.folder.choosePort()
		if err != nil {
			return err
		}
		s.port, s.url = port, serverURL(port, password)
		offset, err := s.launch(ctx)
		if err != nil {
			return err
		}
		err = s.waitReady(ctx)
		if err == nil {
			return nil
		}
		complaint := s.giveUp(offset)
		if ctx.Err() != nil {
			return fmt.Errorf("wait for PostgreSQL to start: %w", ctx.Err())
		}
		if err != errEnded {
			return err
		}
		if strings.Contains(complaint, "TCP/IP") && attempt < portAttempts {
			continue
		}
		return refuse(ErrFailed, "PostgreSQL did not start: %s (more in %s)", complaint, s.folder.log())
	}
}

// settings are all that the server is told.
func (s *Server) settings() map[string]string {
	all := maps.Clone(defaults)
	maps.Copy(all, s.options.Settings)
	maps.Copy(all, map[string]string{
		"listen_addresses":        "127.0.0.1",
		"port":                    strconv.Itoa(s.port),
		"unix_socket_directories": "",
		"log_destination":         "stderr",
		"logging_collector":       "off",
		"log_line_prefix":         "%m [%p] ",
	})
	return all
}

// giveUp ends a server that didn't come up, and returns why it didn't.
func (s *Server) giveUp(offset int64) string {
	s.process.signal(syscall.SIGQUIT)
	select {
	case <-s.process.exited:
	case <-time.After(immediateTimeout):
		s.process.signal(syscall.SIGKILL)
		<-s.process.exited
	}
	return lastComplaint(s.folder.log(), offset)
}

func serverURL(port int, password string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(ownerName, password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		Path:     "/" + databaseName,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// URL is how the owner, a superuser, reaches the database. It holds the
// password.
func (s *Server) URL() string { return s.url }

// Port is the port on 127.0.0.1.
func (s *Server) Port() int { return s.port }

// Done is closed when a server that this process started has ended, by Stop or
// by itself. For an attached server it is nil.
func (s *Server) Done() <-chan struct{} {
	if s.process == nil {
		return nil
	}
	return s.process.exited
}

// immediateTimeout bounds the wait for a server told to drop everything.
const immediateTimeout = 10 * time.Second

// Stop shuts the server down: what runs is rolled back, what was committed is
// written out. When the context ends first the server is made to drop everything
// instead, which loses nothing either but makes its next start recover. Stop on
// an attached server does nothing; only the first call counts.
func (s *Server) Stop(ctx context.Context) error {
	s.stop.Do(func() {
		if s.process == nil {
			return
		}
		s.stopErr = s.shutDown(ctx)
		if s.temporary {
			if err := os.RemoveAll(string(s.folder)); err != nil && s.stopErr == nil {
				s.stopErr = fmt.Errorf("remove the temporary data folder: %w", err)
			}
		}
		unlock(s.lock)
	})
	return s.stopErr
}

func (s *Server) shutDown(ctx context.Context) error {
	if s.temporary {
		s.process.signal(syscall.SIGQUIT)
	} else {
		s.process.signal(syscall.SIGINT)
	}
	select {
	case <-s.process.exited:
		return nil
	case <-ctx.Done():
	}
	s.process.signal(syscall.SIGQUIT)
	select {
	case <-s.process.exited:
	case <-time.After(immediateTimeout):
		s.process.signal(syscall.SIGKILL)
		<-s.process.exited
	}
	return fmt.Errorf("PostgreSQL took too long to shut down and was stopped at once; it will recover at its next start: %w", ctx.Err())
}

// Kill ends the server as a crash would, with no chance to write anything out,
// and lets go of the folder. It is for tests of what comes after.
func (s *Server) Kill() {
	s.stop.Do(func() {
		if s.process == nil {
			return
		}
		s.process.signal(syscall.SIGKILL)
		<-s.process.exited
		unlock(s.lock)
	})
}
