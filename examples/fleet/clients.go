package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// crew are the client processes as the parent has them.
type crew []*hand

// hand is one client process.
type hand struct {
	process *exec.Cmd
	in      io.WriteCloser
	answers chan answer

	mu   sync.Mutex
	last state
}

// hire starts client processes.
func hire(n int) (crew, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var c crew
	for range n {
		h := &hand{process: exec.Command(program, clientMode), answers: make(chan answer)}
		h.process.Stderr = os.Stderr
		h.in, err = h.process.StdinPipe()
		if err != nil {
			return c, err
		}
		out, err := h.process.StdoutPipe()
		if err != nil {
			return c, err
		}
		if err := h.process.Start(); err != nil {
			return c, err
		}
		c = append(c, h)
		go h.listen(out) // ends with the process
	}
	return c, nil
}

func (h *hand) listen(out io.Reader) {
	defer close(h.answers)
	for said := json.NewDecoder(out); ; {
		var n news
		if said.Decode(&n) != nil {
			return
		}
		if n.Status != nil {
			h.mu.Lock()
			h.last = *n.Status
			h.mu.Unlock()
		}
		if n.Answer != nil {
			h.answers <- *n.Answer
		}
	}
}

// do gives an order and waits until it is done.
func (h *hand) do(ctx context.Context, o order) (answer, error) {
	if err := json.NewEncoder(h.in).Encode(o); err != nil {
		return answer{}, err
	}
	select {
	case a, ok := <-h.answers:
		switch {
		case !ok:
			return a, errors.New("a client process ended")
		case a.Failed != "":
			return a, errors.New(a.Failed)
		}
		return a, nil
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
}

// do gives each client process its order, and waits until all are done.
func (c crew) do(ctx context.Context, o func(i int) order) ([]answer, error) {
	answers := make([]answer, len(c))
	group, ctx := errgroup.WithContext(ctx)
	for i, h := range c {
		group.Go(func() (err error) {
			answers[i], err = h.do(ctx, o(i))
			return err
		})
	}
	return answers, group.Wait()
}

// state is how all of them are doing.
func (c crew) state() state {
	sum := state{Errors: make(map[string]int)}
	for _, h := range c {
		h.mu.Lock()
		s := h.last
		s.Errors = maps.Clone(s.Errors)
		h.mu.Unlock()
		for i, n := range s.Online {
			if i == len(sum.Online) {
				sum.Online = append(sum.Online, 0)
			}
			sum.Online[i] += n
		}
		sum.Handshakes += s.Handshakes
		sum.Heartbeats += s.Heartbeats
		sum.Created += s.Created
		sum.Paid += s.Paid
		sum.Late += s.Late
		for e, n := range s.Errors {
			sum.Errors[e] += n
		}
	}
	return sum
}

// until waits until the clients are so.
func (c crew) until(ctx context.Context, what string, so func(state) bool) error {
	ticker := time.NewTicker(statusEvery / 2)
	defer ticker.Stop()
	for !so(c.state()) {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			s := c.state()
			return fmt.Errorf("waiting until %s: %w; online %v, errors %v", what, ctx.Err(), s.Online, s.Errors)
		}
	}
	return nil
}

func (s state) online() (n int) {
	for _, here := range s.Online {
		n += here
	}
	return n
}

// dismiss ends all client processes.
func (c crew) dismiss() {
	for _, h := range c {
		_ = h.in.Close()
		_ = h.process.Process.Kill()
		for range h.answers { // until its output ends
		}
		_ = h.process.Wait()
	}
}
