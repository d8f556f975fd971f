//go:build cluster

package main

import (
	"encoding/csv"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/tillbook/tillbook/examples/cluster/stack"
)

// useAsPrinted finds that something listens wherever `make cluster` says that something
// is, and pastes each command that it prints to use it with.
func useAsPrinted(t *testing.T, s *stack.Stack, program string) {
	t.Helper()
	key, err := s.OperatorKey(within(t), program)
	must(t, err)
	var printed strings.Builder
	describe(&printed, s, key, "127.0.0.1:0")
	printedToUse, _, _ := strings.Cut(printed.String(), "\nBreak it")
	places, uses, found := strings.Cut(printedToUse, "\nUse it\n")
	if !found {
		t.Fatalf("no commands are printed:\n%s", &printed)
	}
	addresses := regexp.MustCompile(`127\.0\.0\.1:[0-9]+`).FindAllString(places, -1)
	for _, address := range addresses {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Errorf("%v, and yet it is printed", err)
			continue
		}
		_ = conn.Close()
	}
	// The doors of clients and of three replicas, three databases and their Patronis, and
	// five to look at.
	if len(addresses) != 2+3*2+3*2+5 {
		t.Errorf("the addresses are %v", addresses)
	}
	lines := strings.Split(strings.TrimSpace(uses), "\n")
	answers := []string{`"invalid_argument"`, `"accountClass"`, "The books are right.", " 0 FAIL", "written", "Sync Standby"}
	if len(lines) != len(answers) {
		t.Fatalf("this test knows what %d commands answer:\n%s", len(answers), uses)
	}
	for i, line := range lines {
		command := strings.Replace(strings.TrimSpace(line), "bin/tillbook", program, 1)
		cmd := exec.CommandContext(within(t), "bash", "-c", command)
		cmd.Dir = "../.." // where they are pasted
		cmd.Stdin = strings.NewReader("SELECT 'written' WHERE NOT pg_is_in_recovery()")
		out, err := cmd.CombinedOutput()
		if warned := strings.Contains(line, " doctor ") && cmd.ProcessState.ExitCode() == 1; err != nil && !warned {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
		if !regexp.MustCompile(answers[i]).Match(out) {
			t.Errorf("%s answers\n%s", line, out)
		}
		// Nothing is archived here, and how full the disk is is none of the cluster's doing.
		for _, warning := range regexp.MustCompile(`(?m)^WARN +(\S+).*`).FindAllSubmatch(out, -1) {
			if check := string(warning[1]); check != "archive" && check != "disk" {
				t.Errorf("the doctor warns of the configuration that others start from: %s", warning[0])
			}
		}
	}
}

// checkBalance finds that HAProxy balances as it should.
func checkBalance(t *testing.T, s *stack.Stack) {
	t.Helper()
	answer, err := s.HAProxy().Command(within(t), "show stat -1 2 -1")
	must(t, err)
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(answer, "# "))).ReadAll()
	must(t, err)
	algorithm := map[string]string{}
	for _, row := range rows[1:] {
		for i, name := range rows[0] {
			if name == "algo" {
				algorithm[row[0]] = row[i]
			}
		}
	}
	for _, backend := range []string{"blue", "native-blue"} {
		if algorithm[backend] != "leastconn" {
			t.Errorf("%s is balanced by %q", backend, algorithm[backend])
		}
	}
}

// checkLoopback finds that nothing of the stack listens where other machines reach it:
// its replicas hand out money.
func checkLoopback(t *testing.T, s *stack.Stack) {
	t.Helper()
	open, local := map[string]string{}, map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		must(t, err)
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			if len(fields) < 10 || fields[3] != "0A" { // listens
				continue
			}
			inode := "socket:[" + fields[9] + "]"
			if ip, _, _ := strings.Cut(fields[1], ":"); ip == "0100007F" {
				local[inode] = true
			} else {
				open[inode] = fields[1]
			}
		}
	}
	found := 0
	for pid := range pidsOf(s) {
		links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		must(t, err)
		for _, link := range links {
			to, _ := os.Readlink(link)
			if address, reachable := open[to]; reachable {
				name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
				t.Errorf("%s listens at %s, which is not of this machine alone", strings.TrimSpace(string(name)), address)
			}
			if local[to] {
				found++
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d sockets were found to listen", found)
	}
}

// pidsOf are all processes of the stack, and this one, which has some parts itself.
func pidsOf(s *stack.Stack) map[int]bool {
	pids := map[int]bool{os.Getpid(): true}
	for _, n := range s.Nodes() { // whose PostgreSQL is nobody's child
		for _, pid := range n.Family() {
			pids[pid] = true
		}
	}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for before := 0; before < len(pids); {
		before = len(pids)
		for _, path := range stats {
			text, err := os.ReadFile(path)
			if err != nil {
				continue // it has ended
			}
			fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
			parent, _ := strconv.Atoi(fields[1])
			pid, _ := strconv.Atoi(strings.Split(path, "/")[2])
			if pids[parent] {
				pids[pid] = true
			}
		}
	}
	return pids
}

// checkTold finds that people are told of a replica that is dead.
func checkTold(t *testing.T, s *stack.Stack) {
	t.Helper()
	dead := s.Replica(1)
	dead.Kill()
	eventually(t, func() error {
		page := get(t, s.AlertsURL())
		if want := "[FIRING ticket] ReplicaDown"; !strings.Contains(page, want) || !strings.Contains(page, "mail to oncall@tillbook.example") {
			return fmt.Errorf("nobody was told %s: %s", want, page)
		}
		return nil
	})
	must(t, dead.Start())
	must(t, dead.Ready(within(t)))
}
