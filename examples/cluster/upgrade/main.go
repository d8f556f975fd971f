package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/tillbook/tillbook/examples/cluster/stack"
	"github.com/tillbook/tillbook/examples/cluster/traffic"
)

// settleTimeout bounds how long the users may take in the end to see everything.
const settleTimeout = 30 * time.Second

type options struct {
	from               string
	current            string
	replicas, standbys int
	calls              int
	timeout            time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.from, "from", "", "the `revision` to begin with; by default the newest tag, or the last commit but one")
	flag.StringVar(&o.current, "tillbook", "bin/tillbook", "the current version's `program`")
	flag.IntVar(&o.replicas, "replicas", 2, "how many replicas")
	flag.IntVar(&o.standbys, "standbys", -1, "how many databases follow the primary; -1 for none")
	flag.IntVar(&o.calls, "calls", 100, "how many calls to wait for after each step")
	flag.DurationVar(&o.timeout, "timeout", 10*time.Minute, "how long all of it may take")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	r, err := run(ctx, os.Stdout, o)
	for _, err := range r.Errors {
		fmt.Println(err)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "upgrade-test:", err)
	}
	fmt.Println(r)
	if err != nil || !r.OK() {
		os.Exit(1)
	}
}

// result is what the last line says.
type result struct {
	traffic.Result
	// rolled and back are how many replicas were replaced, and green how many took
	// over from the blue ones.
	rolled, back, green int
}

// String is the last line.
func (r result) String() string {
	return fmt.Sprintf("upgrade-test: calls=%d failed=%d rolled=%d back=%d bluegreen=%d lost=%d doubled=%d",
		r.Calls, r.Failed, r.rolled, r.back, r.green, r.Lost, r.Doubled)
}

func run(ctx context.Context, out io.Writer, o options) (r result, err error) {
	if o.current, err = filepath.Abs(o.current); err != nil {
		return r, err
	}
	folder, err := os.MkdirTemp("", "tillbook-upgrade-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(folder)
	previous := filepath.Join(folder, "tillbook-previous")
	revision, err := build(ctx, o.from, previous)
	if err != nil {
		return r, err
	}
	fmt.Fprintf(out, "Starting a cluster of %s.\n", revision)
	s, err := stack.Start(ctx, stack.Options{Binary: previous, Replicas: o.replicas, Standbys: o.standbys, HAProxy: true})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	u := &upgrade{stack: s, out: out, previous: previous, current: o.current, calls: o.calls}
	if err := u.run(ctx, &r); err != nil {
		return r, err
	}
	return r, s.Verify(ctx, o.current)
}
