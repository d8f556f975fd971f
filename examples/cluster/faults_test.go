//go:build cluster

package main

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/tillbook/tillbook/examples/cluster/stack"
)

// breakAsPrinted pastes each fault that `make cluster` prints, and what undoes it, and
// finds everything back in the end.
func breakAsPrinted(t *testing.T, s *stack.Stack) {
	c, err := listenForFaults(s, "127.0.0.1:0")
	must(t, err)
	defer c.close()
	var printed strings.Builder
	describe(&printed, s, "key", c.address)
	_, faults, found := strings.Cut(printed.String(), "\nBreak it")
	if !found {
		t.Fatalf("no faults are printed:\n%s", &printed)
	}
	var lines []string
	for line := range strings.Lines(faults) {
		if strings.HasPrefix(line, "  ") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	pasted := 0
	for fault := range slices.Chunk(lines, 3) { // what it is, how it is done, how it is undone
		if strings.Contains(fault[1], "fill-disk") {
			continue // which takes a disk of its own
		}
		for _, command := range fault[1:] {
			if !strings.HasPrefix(command, "#") {
				paste(t, command)
				pasted++
			}
			if strings.HasPrefix(command, "kill") { // the stack notices a moment later
				eventually(t, func() error {
					if s.Replicas(stack.Blue)[0].Running() {
						return errors.New("the replica is still there")
					}
					return nil
				})
			}
		}
		whole(t, s)
	}
	if pasted < 12 {
		t.Errorf("only %d commands were pasted of:\n%s", pasted, faults)
	}
}

// paste runs a command, again until there is what it is done to.
func paste(t *testing.T, command string) {
	t.Helper()
	eventually(t, func() error {
		out, err := exec.CommandContext(t.Context(), "bash", "-c", command).CombinedOutput()
		if err == nil && strings.HasPrefix(command, "curl") && !strings.Contains(string(out), ": done") {
			err = errors.New("it wasn't done")
		}
		if err != nil {
			return fmt.Errorf("%s: %w: %s", command, err, out)
		}
		return nil
	})
}

// whole waits until everything is there.
func whole(t *testing.T, s *stack.Stack) {
	t.Helper()
	if _, err := s.AwaitPrimary(within(t), nil); err != nil {
		t.Fatal(err)
	}
	must(t, s.AwaitSynchronous(within(t), 2))
	for _, r := range s.Replicas(stack.Blue) {
		must(t, r.Ready(within(t)))
	}
	must(t, s.HAProxy().Ready(within(t)))
}
