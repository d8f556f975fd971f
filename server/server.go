package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/net/netutil"
	"google.golang.org/grpc"

	"github.com/tillbook/tillbook/store/cause"
)

// Server is one replica. New makes it, Run serves until its context ends, and
// Close lets everything go; a second Close does nothing.
type Server struct {
	cfg          Config
	listener     net.Listener
	grpcListener net.Listener // nil if there is no native door
	http         *http.Server
	grpc         *grpc.Server
	arriving     *arrivals

	// A replica that stops is unready first, and drains a little later.
	unready, draining context.Context
	leave, drain      context.CancelFunc
	sleep             func(time.Duration)
	now               func() time.Time // the database's, see followClock

	tracer trace.Tracer // of what no call waits for; nil if traces are off

	// owned is what Close closes, last opened first.
	owned []func() error
	close sync.Once
	err   error
}

// New opens the database and takes the addresses, and undoes it all if anything
// fails. The context bounds only that.
func New(ctx context.Context, cfg Config) (_ *Server, err error) {
	cfg.setDefaults()
	if err := errors.Join(cfg.Check(), cfg.checkSecrets()); err != nil {
		return nil, err
	}
	s := newServer(cfg)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := s.listen(ctx); err != nil {
		return nil, err
	}
	front, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.mount(front); err != nil {
		return nil, err
	}
	return s, nil
}

func newServer(cfg Config) *Server {
	s := &Server{cfg: cfg, arriving: newArrivals(), sleep: time.Sleep}
	s.unready, s.leave = context.WithCancel(context.Background())
	s.draining, s.drain = context.WithCancel(context.Background())
	return s
}

// listen takes the addresses, before anything that costs time.
func (s *Server) listen(ctx context.Context) error {
	var err error
	if s.listener, err = listen(ctx, s.cfg.Listen, "--listen"); err != nil {
		return err
	}
	s.listener = netutil.LimitListener(s.listener, s.cfg.MaxConnections)
	s.own(closeListener(s.listener))
	if s.cfg.GRPCListen == "" {
		return nil
	}
	if s.grpcListener, err = listen(ctx, s.cfg.GRPCListen, "--grpc-listen"); err != nil {
		return err
	}
	s.grpcListener = netutil.LimitListener(s.grpcListener, s.cfg.MaxConnections)
	s.own(closeListener(s.grpcListener))
	return nil
}

func listen(ctx context.Context, addr, flag string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use: stop what listens there or choose another with %s: %w", addr, flag, err)
	case err != nil:
		return nil, fmt.Errorf("listen on %s (%s): %w", addr, flag, err)
	}
	return l, nil
}

func closeListener(l net.Listener) func() error {
	return func() error {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}

func (s *Server) own(f func() error) { s.owned = append(s.owned, f) }

// background runs f beside everything else. Its context ends, and it is waited
// for, when the server closes.
func (s *Server) background(f func(context.Context)) {
	ctx, cancel := context.WithCancel(cause.WithTracer(context.Background(), s.tracer))
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(ctx)
	}()
	s.own(func() error {
		cancel()
		<-done
		return nil
	})
}

// Addr is where the server listens, with the port that it got.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// GRPCAddr is where the native gRPC door is; empty if there is none.
func (s *Server) GRPCAddr() string {
	if s.grpcListener == nil {
		return ""
	}
	return s.grpcListener.Addr().String()
}

// Run serves until ctx ends, then drains and closes the server. It returns nil
// after an orderly end. All of that takes Config.DrainDelay, Config.Grace and 20 s at
// the most.
func (s *Server) Run(ctx context.Context) error {
	failed := make(chan error, 2)
	var doors sync.WaitGroup
	doors.Go(func() {
		if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("serve %s: %w", s.Addr(), err)
		}
	})
	if s.grpc != nil {
		doors.Go(func() {
			if err := s.grpc.Serve(s.grpcListener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
				failed <- fmt.Errorf("serve %s: %w", s.GRPCAddr(), err)
			}
		})
	}
	s.cfg.Logger.InfoContext(ctx, "serving", "listen", s.Addr(), "grpc_listen", s.GRPCAddr(), "sandbox", s.cfg.Sandbox)

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.stop(err == nil)
	doors.Wait()
	return errors.Join(err, s.closeWithin(closeTimeout))
}

// closeTimeout is how long Close may take when Run calls it: long enough to send what
// is to be sent and to commit what waits, whatever the database does.
const closeTimeout = 20 * time.Second

var errStuck = errors.New("what runs in the background did not end in time and is left behind")

// closeWithin is Close with a bound. Whoever waited longer would be killed: what is
// under way then is left to what makes it safe against that.
func (s *Server) closeWithin(d time.Duration) error {
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }() // ends with what it waits for, or the process
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case err := <-closed:
		return err
	case <-timer.C:
		return errStuck
	}
}

// stop ends what is under way: first the replica says that it is going, then it
// sends streams away and takes nothing new, then it waits, but not forever.
func (s *Server) stop(orderly bool) {
	s.leave()
	if orderly && s.cfg.DrainDelay > 0 {
		s.sleep(s.cfg.DrainDelay)
	}
	s.drain()
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.Grace)
	defer cancel()
	var doors sync.WaitGroup
	doors.Go(func() {
		if s.http.Shutdown(ctx) != nil {
			s.cfg.Logger.WarnContext(ctx, "calls were cut off", "listen", s.Addr())
			_ = s.http.Close()
		}
	})
	if s.grpc != nil {
		doors.Go(func() { s.stopGRPC(ctx) })
	}
	doors.Wait()
}

func (s *Server) stopGRPC(ctx context.Context) {
	ended := make(chan struct{})
	go func() { // ends with the last handler
		defer close(ended)
		s.grpc.GracefulStop()
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		s.cfg.Logger.WarnContext(ctx, "calls were cut off", "grpc_listen", s.GRPCAddr())
		s.grpc.Stop()
	}
}

// Close lets go of everything that New opened, last opened first. It is for a
// server that isn't running; Run calls it at its own end.
func (s *Server) Close() error {
	s.close.Do(func() {
		s.leave()
		s.drain()
		for _, f := range slices.Backward(s.owned) {
			s.err = errors.Join(s.err, f())
		}
	})
	return s.err
}
