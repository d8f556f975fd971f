package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/examples/cluster/stack"
	"github.com/tillbook/tillbook/examples/torture/oracle"
	"github.com/tillbook/tillbook/examples/torture/record"
)

// A scenario that breaks nothing, or nothing that anybody uses, proves nothing. What
// follows asks whether a fault happened and who was there to feel it.

// probe asks on a connection of its own.
var probe = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// ask gets something of a replica's within a second, past the load balancer.
func ask(ctx context.Context, r *stack.Replica, path string) (*http.Response, []byte, error) {
	return askWithin(ctx, time.Second, r, path)
}

// askWithin is ask for what a replica may have to leave waiting.
func askWithin(ctx context.Context, d time.Duration, r *stack.Replica, path string) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.HTTP()+path, http.NoBody)
	if err != nil {
		return nil, nil, err
	}
	response, err := probe.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(response.Body)
	return response, body.Bytes(), err
}

// served is how many calls a replica has ended since it was started.
func served(ctx context.Context, r *stack.Replica) (n float64, err error) {
	_, body, err := askWithin(ctx, patience, r, "/metrics")
	if err != nil {
		return 0, fmt.Errorf("asking %s how much it has served: %w", r.Name(), err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(body)); lines.Scan(); {
		if !strings.HasPrefix(lines.Text(), "rpc_server_call_duration_seconds_count{") {
			continue
		}
		count, err := strconv.ParseFloat(lines.Text()[strings.LastIndexByte(lines.Text(), ' ')+1:], 64)
		if err != nil {
			return 0, err
		}
		n += count
	}
	return n, nil
}

// servedByEach is what each replica has served.
func (r *rack) servedByEach(ctx context.Context) (list []float64, err error) {
	for _, replica := range r.Replicas(stack.Blue) {
		n, err := served(ctx, replica)
		if err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, nil
}

// busy fails if a replica has had nothing to do since it had served as much as that.
func (r *rack) busy(ctx context.Context, since []float64) error {
	now, err := r.servedByEach(ctx)
	if err != nil {
		return err
	}
	for i := range now {
		if now[i] <= since[i] {
			return fmt.Errorf("replica %d has had no calls, so it can't be missed", i)
		}
	}
	return nil
}

// flows lets the traffic run for a while, in which something of each kind must be begun,
// and on until it was acknowledged. Sign-ins are few, and may begin later.
func (t *trial) flows(ctx context.Context, d time.Duration) error {
	since := t.mix.Record().Now()
	if err := pause(ctx, d); err != nil {
		return err
	}
	for until := time.Now().Add(patience); ; {
		kind := missing(t.mix.Record().Operations(), since, since+d)
		if kind == "" {
			return nil
		}
		if time.Now().After(until) {
			t.wrong("traffic: nothing of kind %s was begun within %s and acknowledged within %s", kind, d, d+patience)
			return nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// missing is a kind of which nothing was begun between two times, or after them if it is
// a sign-in, and acknowledged.
func missing(operations []record.Operation, since, until time.Duration) record.Kind {
	for _, kind := range []record.Kind{record.Transfer, record.Sale, record.Payment, record.Read, record.SignIn} {
		if !slices.ContainsFunc(operations, func(o record.Operation) bool {
			return o.Kind == kind && o.Answer.Outcome == record.Done && o.Call >= since && (o.Call <= until || kind == record.SignIn)
		}) {
			return kind
		}
	}
	return ""
}

// life is something with a process that can be killed.
type life interface {
	Name() string
	PID() int
	Running() bool
	Kill()
}

// kill kills something that must be alive, and has it be another one in the end.
func (t *trial) kill(what life) {
	pid := what.PID()
	if !what.Running() {
		t.wrong("fault: %s was dead before it was killed", what.Name())
	}
	what.Kill()
	if what.Running() {
		t.wrong("fault: %s survived", what.Name())
	}
	t.replaced(what, pid)
}

// replaced has a process that was be another one in the end.
func (t *trial) replaced(what life, pid int) {
	t.check(func(context.Context, *oracle.Verdict) error {
		if what.PID() == pid {
			t.wrong("fault: %s still is process %d", what.Name(), pid)
		}
		return nil
	})
}

// clockOff is by how much a replica's clock differs from ours, as its answers say.
func clockOff(ctx context.Context, r *stack.Replica) (time.Duration, error) {
	response, _, err := ask(ctx, r, "/healthz")
	if err != nil {
		return 0, err
	}
	date, err := http.ParseTime(response.Header.Get("Date"))
	return time.Until(date), err
}

// through is how long it takes to get bytes of a node's database through a link.
func (t *trial) through(ctx context.Context, n *stack.Node, l *stack.Link, f *feeling) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, f.within)
	defer cancel()
	u, err := url.Parse(t.NodeURL(n))
	if err != nil {
		return 0, err
	}
	u.Host, u.RawQuery = l.Address(), "sslmode=disable&connect_timeout=10"
	conn, err := pgx.Connect(ctx, u.String())
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	begun := time.Now()
	var text string
	err = conn.QueryRow(ctx, `SELECT repeat('x', $1)`, f.bytes).Scan(&text)
	return time.Since(begun), err
}

// standbys are how many follow the primary.
func (t *trial) standbys(ctx context.Context) (n int, err error) {
	conn, err := pgx.Connect(ctx, t.SuperuserURL())
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = conn.QueryRow(ctx, `SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'`).Scan(&n)
	return n, err
}

// saying is what a process says from now on.
func saying(p *stack.Process) func() (string, error) {
	var from int64
	if info, err := os.Stat(p.Log()); err == nil {
		from = info.Size()
	}
	return func() (string, error) {
		text, err := os.ReadFile(p.Log())
		return string(text[min(from, int64(len(text))):]), err
	}
}
