package server

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

const (
	probeTimeout = 2 * time.Second
	// probeCache keeps those who ask often from keeping the database busy.
	probeCache = 500 * time.Millisecond
)

// readiness says whether a replica should be sent calls.
type readiness struct {
	unready context.Context // done when the replica is stopping
	ping    func(context.Context) error

	mu    sync.Mutex
	asked time.Time
	err   error
}

// check fails if the replica is stopping or its database doesn't answer.
func (r *readiness) check(ctx context.Context) error {
	if r.unready.Err() != nil {
		return errDraining
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.asked) < probeCache {
		return r.err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout)
	defer cancel()
	r.err = nil
	if r.ping(ctx) != nil {
		r.err = errNoAnswer
	}
	r.asked = time.Now()
	return r.err
}

// serveLive says that the process runs; no more, so that a database that is away
// gets no replica restarted.
func serveLive(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write([]byte("ok\n"))
}

func (r *readiness) serve(w http.ResponseWriter, req *http.Request) {
	if err := r.check(req.Context()); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

var (
	errDraining = errors.New("this replica is stopping")
	errNoAnswer = errors.New("the database does not answer")
)
