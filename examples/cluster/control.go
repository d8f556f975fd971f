package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tillbook/tillbook/examples/cluster/stack"
)

// controlAddress is where faults are asked for.
const controlAddress = "127.0.0.1:8474"

// control does to parts of the stack what it is asked for: POST /PART/ACTION.
type control struct {
	stack   *stack.Stack
	server  *http.Server
	address string
	ended   chan struct{}

	mu sync.Mutex
	// victim is the node that was the primary when something was last done to that.
	victim string
}

func listenForFaults(s *stack.Stack, address string) (*control, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	c := &control{stack: s, address: listener.Addr().String(), ended: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /link/{link}/{action}", c.link)
	mux.HandleFunc("POST /{part}/{action}", c.part)
	c.server = &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	go func() { // ends with close
		defer close(c.ended)
		_ = c.server.Serve(listener)
	}()
	return c, nil
}

func (c *control) close() {
	_ = c.server.Close()
	<-c.ended
}

// processes are the parts by name.
func (c *control) processes() map[string]*stack.Process {
	all := make(map[string]*stack.Process)
	add := func(p *stack.Process) {
		if p != nil {
			all[p.Name()] = p
		}
	}
	for _, color := range []string{stack.Blue, stack.Green} {
		for _, r := range c.stack.Replicas(color) {
			add(r.Process)
		}
	}
	for _, n := range c.stack.Nodes() {
		add(n.Process)
	}
	for _, e := range c.stack.EtcdMembers() {
		add(e.Process)
	}
	if h := c.stack.HAProxy(); h != nil {
		add(h.Process)
	}
	return all
}

func (c *control) part(w http.ResponseWriter, req *http.Request) {
	name, action := req.PathValue("part"), req.PathValue("action")
	c.mu.Lock()
	defer c.mu.Unlock()
	switch name {
	case "primary":
		primary, err := c.stack.Primary(req.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		name = primary.Name()
		c.victim = name
	case "victim":
		name = c.victim
	}
	p := c.processes()[name]
	if p == nil {
		http.Error(w, "there is no part "+name, http.StatusNotFound)
		return
	}
	known, err := onNode(c.stack.Node(name), action)
	if !known {
		known, err = onProcess(p, action)
	}
	answer(w, name+" "+action, known, err)
}

// onNode does what only a database node can do, or does differently.
func onNode(n *stack.Node, action string) (known bool, err error) {
	if n == nil {
		return false, nil
	}
	switch action {
	case "kill":
		n.Kill()
	case "kill-postgres":
		n.KillPostgres()
	case "freeze":
		n.Freeze()
	case "thaw":
		n.Thaw()
	case "isolate":
		n.Isolate()
	case "rejoin":
		err = n.Rejoin()
	case "fill-disk":
		err = n.FillDisk()
	case "free-disk":
		err = n.FreeDisk()
	default:
		return false, nil
	}
	return true, err
}

func onProcess(p *stack.Process, action string) (known bool, err error) {
	switch action {
	case "kill":
		p.Kill()
	case "term":
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err = p.Term(ctx)
	case "freeze":
		p.Freeze()
	case "thaw":
		p.Thaw()
	case "start":
		err = p.Start()
	default:
		return false, nil
	}
	return true, err
}

func (c *control) link(w http.ResponseWriter, req *http.Request) {
	name, action := req.PathValue("link"), req.PathValue("action")
	var found []*stack.Link
	for _, l := range c.stack.Links() {
		if name == "all" && strings.HasPrefix(l.Name(), stack.Blue) || l.Name() == name {
			found = append(found, l)
		}
	}
	if len(found) == 0 {
		http.Error(w, "there is no link "+name, http.StatusNotFound)
		return
	}
	known, err := true, error(nil)
	for _, l := range found {
		if k, e := onLink(l, action); !k || e != nil {
			known, err = k, e
		}
	}
	answer(w, name+" "+action, known, err)
}

func onLink(l *stack.Link, action string) (known bool, err error) {
	switch action {
	case "down":
		l.Down()
	case "slow":
		err = l.Delay(50 * time.Millisecond)
	case "throttle":
		err = l.Throttle(64)
	case "silence":
		err = l.Silence()
	case "deafen":
		err = l.Deafen()
	case "heal":
		err = l.Heal()
	default:
		return false, nil
	}
	return true, err
}

func answer(w http.ResponseWriter, what string, known bool, err error) {
	switch {
	case !known:
		http.Error(w, "nobody knows how to "+what, http.StatusNotFound)
	case err != nil:
		http.Error(w, err.Error(), http.StatusConflict)
	default:
		fmt.Fprintln(w, what+": done")
	}
}
