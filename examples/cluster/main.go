package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tillbook/tillbook/examples/cluster/stack"
)

// startTimeout bounds how long it takes until everything serves.
const startTimeout = 3 * time.Minute

func main() {
	o := stack.Options{HAProxy: true, Prometheus: true, Traces: true, Proxied: true, KnownPorts: true}
	flag.StringVar(&o.Binary, "tillbook", "bin/tillbook", "the server's `program`")
	flag.IntVar(&o.Replicas, "replicas", 3, "how many Tillbook servers")
	flag.IntVar(&o.Standbys, "standbys", 2, "how many databases follow the primary")
	flag.IntVar(&o.Etcd, "etcd", 3, "how many members etcd has")
	flag.StringVar(&o.Dir, "dir", "", "an empty `folder` for all data, which stays; by default a temporary one")
	flag.Int64Var(&o.DiskMB, "disk", 0, "give each database a disk of so many `MB`, to fill it up; needs root")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o stack.Options) (err error) {
	fmt.Println("Starting; it takes half a minute.")
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	s, err := stack.Start(starting, o)
	if err != nil {
		if ctx.Err() != nil {
			return nil // Ctrl-C
		}
		return err
	}
	defer func() {
		fmt.Println("\nStopping everything.")
		if closed := s.Close(); err == nil {
			err = closed
		}
	}()
	control, err := listenForFaults(s, controlAddress)
	if err != nil {
		return err
	}
	defer control.close()
	key, err := s.OperatorKey(ctx, o.Binary)
	if err != nil {
		return err
	}
	describe(os.Stdout, s, key, control.address)
	<-ctx.Done()
	return nil
}
