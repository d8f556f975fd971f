package stack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/tillbook/tillbook/examples/cluster/haproxy"
)

// HAProxy is the load balancer.
type HAProxy struct {
	*Process
	api, native, stats  string
	socket, colors, pem string
}

// The two sets of replicas; new calls go to one of them.
const (
	Blue  = "blue"
	Green = "green"
	// greenFrom is the index of the first green replica's ports.
	greenFrom = 20
)

func (s *Stack) newHAProxy() (*HAProxy, error) {
	h := &HAProxy{
		Process: &Process{name: "haproxy", program: s.programs.haproxy, dirs: s.dirs, stopping: syscall.SIGTERM},
		socket:  s.dirs.file("haproxy.sock"), colors: s.dirs.file("config", "colors.map"), pem: s.dirs.file("config", "server.pem"),
	}
	h.args = []string{"-W", "-db", "-f", s.dirs.file("config", "haproxy.cfg")}
	for kind, to := range map[string]*string{"api": &h.api, "native": &h.native, "stats": &h.stats} {
		var err error
		if *to, err = s.ports.take(kind, 0); err != nil {
			return nil, err
		}
	}
	var err error
	s.authority, err = certify(s.CA(), h.pem)
	return h, errors.Join(err, os.WriteFile(h.colors, []byte("color "+Blue+"\n"), 0o644))
}

// writeHAProxy writes its configuration with the replicas of now.
func (s *Stack) writeHAProxy() error {
	type replica struct{ Name, HTTP, Native, Host, Port string }
	type color struct {
		Name     string
		Replicas []replica
	}
	var colors []color
	for _, name := range []string{Blue, Green} {
		c := color{Name: name}
		if set := s.sets[name]; set != nil {
			for _, r := range set.replicas {
				host, port, err := net.SplitHostPort(r.http)
				if err != nil {
					return err
				}
				c.Replicas = append(c.Replicas, replica{r.name, r.http, r.native, host, port})
			}
		}
		colors = append(colors, c)
	}
	h := s.haproxy
	return fill(s.dirs.file("config", "haproxy.cfg"), haproxy.Config, 0o644, map[string]any{
		"Socket": h.socket, "Certificate": h.pem, "API": h.api, "Native": h.native, "Stats": h.stats, "Map": h.colors, "Colors": colors,
		"HardStop": "35m",
	})
}

func (s *Stack) startHAProxy(ctx context.Context) error {
	if err := s.writeHAProxy(); err != nil {
		return err
	}
	if err := s.haproxy.Start(); err != nil {
		return err
	}
	return s.haproxy.Ready(ctx)
}

// Ready waits until it has a replica to send calls to.
func (h *HAProxy) Ready(ctx context.Context) error {
	return await(ctx, "HAProxy", func(ctx context.Context) error {
		color, err := h.color()
		if err != nil {
			return err
		}
		return h.up(ctx, color, 1)
	}, h.Process)
}

// color is which set gets new calls.
func (h *HAProxy) color() (string, error) {
	text, err := os.ReadFile(h.colors)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(strings.TrimPrefix(string(text), "color ")), nil
}

// up fails unless so many replicas of a set pass their checks, at both doors.
func (h *HAProxy) up(ctx context.Context, color string, n int) error {
	text, err := h.Command(ctx, "show stat -1 4 -1")
	if err != nil {
		return err
	}
	ready := map[string]int{}
	for line := range strings.Lines(text) {
		fields := strings.Split(line, ",")
		if len(fields) > 17 && strings.HasPrefix(fields[17], "UP") {
			ready[fields[0]]++
		}
	}
	if ready[color] < n || ready["native-"+color] < n {
		return fmt.Errorf("HAProxy finds %d and %d replicas of %s ready, not %d", ready[color], ready["native-"+color], color, n)
	}
	return nil
}

// AwaitUp waits until so many replicas of a set pass HAProxy's checks, at both doors.
func (h *HAProxy) AwaitUp(ctx context.Context, color string, n int) error {
	return await(ctx, "HAProxy to see "+color, func(ctx context.Context) error { return h.up(ctx, color, n) }, h.Process)
}

// Command gives HAProxy's runtime API a command, such as "show servers state" or
// "set server blue/blue-1 state drain", and returns what it answers.
func (h *HAProxy) Command(ctx context.Context, command string) (string, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", h.socket)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if _, err := fmt.Fprintln(conn, command); err != nil {
		return "", err
	}
	var out strings.Builder
	_, err = bufio.NewReader(conn).WriteTo(&out)
	return strings.TrimSpace(out.String()), err
}

// Reload has it read its configuration again. What is under way ends in the old
// worker.
func (h *HAProxy) Reload() { h.Signal(syscall.SIGUSR2) }

// StartGreen starts a second set of replicas of a program and has HAProxy check them.
// They get no calls yet.
func (s *Stack) StartGreen(ctx context.Context, program string, n int) error {
	return s.startSet(ctx, Green, program, n)
}

// startSet starts a set beside the one that serves.
func (s *Stack) startSet(ctx context.Context, name, program string, n int) error {
	set, err := s.newSet(name, program, n)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.sets[name] = set
	s.mu.Unlock()
	if err := set.start(ctx); err != nil {
		return err
	}
	if err := s.writeHAProxy(); err != nil {
		return err
	}
	s.haproxy.Reload()
	return s.haproxy.AwaitUp(ctx, name, n)
}

// Switch sends new calls to a set, Blue or Green. Calls and streams under way stay
// where they are until they end, or until the old set's replicas are told to end.
func (s *Stack) Switch(ctx context.Context, color string) error {
	h := s.haproxy
	if err := h.up(ctx, color, 1); err != nil {
		return fmt.Errorf("switch to %s: %w", color, err)
	}
	answer, err := h.Command(ctx, fmt.Sprintf("set map %s color %s", h.colors, color))
	if err == nil && answer != "" {
		err = errors.New(answer)
	}
	if err != nil {
		return fmt.Errorf("switch to %s: %w", color, err)
	}
	// For the next start.
	return os.WriteFile(h.colors, []byte("color "+color+"\n"), 0o644)
}
