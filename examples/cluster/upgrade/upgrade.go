package main

import (
	"context"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/tillbook/tillbook/examples/cluster/stack"
	"github.com/tillbook/tillbook/examples/cluster/traffic"
)

// upgrade is a cluster on its way from one version to another.
type upgrade struct {
	stack             *stack.Stack
	users             *traffic.Traffic
	out               io.Writer
	previous, current string
	// calls is how many must be answered after each step before the next.
	calls int
}

// run takes all the steps, and fills in what came of them.
func (u *upgrade) run(ctx context.Context, r *result) (err error) {
	u.users, err = traffic.Start(ctx, traffic.Options{URL: u.stack.URL(), Native: u.stack.Native(), TLS: u.stack.TLS(), Tills: 2, Once: true})
	if err != nil {
		return err
	}
	defer func() {
		settling, cancel := context.WithTimeout(ctx, settleTimeout)
		defer cancel()
		r.Result = u.users.Stop(settling)
	}()
	if err := u.users.Await(ctx, u.calls); err != nil {
		return err
	}
	u.say("migrated to the current schema")
	if err := u.stack.Migrate(ctx, u.current); err != nil {
		return err
	}
	for _, step := range []struct {
		program, name string
		count         *int
	}{{u.current, "current", &r.rolled}, {u.previous, "previous", &r.back}} {
		for _, replica := range u.stack.Replicas(stack.Blue) {
			if err := u.replace(ctx, replica, step.program); err != nil {
				return err
			}
			*step.count++
			u.say(replica.Name() + " runs the " + step.name + " version")
		}
	}
	return u.turnGreen(ctx, &r.green)
}

func (u *upgrade) say(what string) {
	fmt.Fprintf(u.out, "  %6d calls, %d failed: %s\n", u.users.Calls(), u.users.Failed(), what)
}

// replace lets a replica end and starts another program in its place.
func (u *upgrade) replace(ctx context.Context, r *stack.Replica, program string) error {
	if err := r.Term(ctx); err != nil {
		return err
	}
	if err := r.StartBinary(program); err != nil {
		return err
	}
	if err := r.Ready(ctx); err != nil {
		return err
	}
	// The next one may only go when this one is back with the load balancer.
	if err := u.stack.HAProxy().AwaitUp(ctx, stack.Blue, len(u.stack.Replicas(stack.Blue))); err != nil {
		return err
	}
	return u.users.Await(ctx, u.calls)
}

// turnGreen has a second set take over, and the first drain.
func (u *upgrade) turnGreen(ctx context.Context, count *int) error {
	old := u.stack.Replicas(stack.Blue)
	if err := u.stack.StartGreen(ctx, u.current, len(old)); err != nil {
		return err
	}
	u.say("green is up")
	if err := u.stack.Switch(ctx, stack.Green); err != nil {
		return err
	}
	if err := u.users.Await(ctx, u.calls); err != nil {
		return err
	}
	u.say("new calls go to green")
	var draining errgroup.Group
	for _, r := range old {
		draining.Go(func() error { return r.Term(ctx) })
	}
	if err := draining.Wait(); err != nil {
		return err
	}
	u.say("blue is gone")
	*count = len(u.stack.Replicas(stack.Green))
	return u.users.Await(ctx, u.calls)
}
