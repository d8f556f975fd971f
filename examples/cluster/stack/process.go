package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a program that runs, or may run again, as a part of the stack. Its
// output goes to log/NAME.log of the stack's folder and its id to pid/NAME.pid.
type Process struct {
	name    string
	program string
	args    []string
	env     []string
	account account
	dirs    dirs
	// stopping is the signal that ends it in good order.
	stopping syscall.Signal

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{} // closed when cmd has ended
}

// Name is what its log is called after.
func (p *Process) Name() string { return p.name }

// Log is the file with all that it has said.
func (p *Process) Log() string { return p.dirs.log(p.name) }

// Start runs it; it does nothing if it runs already.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running() {
		return nil
	}
	log, err := os.OpenFile(p.Log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(p.program, p.args...)
	cmd.Dir = "/"
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LC_ALL=C.UTF-8"}, p.env...)
	cmd.Stdout, cmd.Stderr = log, log
	// A group of its own, which Ctrl-C at the terminal doesn't reach and which can
	// be killed whole.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	endWithParent(cmd.SysProcAttr, p.stopping)
	p.account.apply(cmd.SysProcAttr)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.cmd, p.ended = cmd, make(chan struct{})
	go func(ended chan struct{}) { // ends with the process
		_ = cmd.Wait()
		close(ended)
	}(p.ended)
	return os.WriteFile(filepath.Join(p.dirs.root, "pid", p.name+".pid"), fmt.Appendln(nil, cmd.Process.Pid), 0o644)
}

func (p *Process) running() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// Running says whether it does.
func (p *Process) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running()
}

// PID is its process id; 0 if it has never run.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Ended is closed once it has ended; it is nil if it has never run.
func (p *Process) Ended() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// ExitCode is that with which it ended; -1 if it runs, has never run or was killed.
func (p *Process) ExitCode() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil || p.running() {
		return -1
	}
	return p.cmd.ProcessState.ExitCode()
}

// signal reaches the process and what it started.
func (p *Process) signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running() {
		_ = syscall.Kill(-p.cmd.Process.Pid, sig)
	}
}

// Kill ends it as a power cut does, and waits until it is gone.
func (p *Process) Kill() {
	p.signal(syscall.SIGKILL)
	if ended := p.Ended(); ended != nil {
		<-ended
	}
}

// Freeze stops it where it stands (SIGSTOP): its connections stay open and silent.
func (p *Process) Freeze() { p.signal(syscall.SIGSTOP) }

// Thaw lets a frozen one go on.
func (p *Process) Thaw() { p.signal(syscall.SIGCONT) }

// Signal sends it a signal, such as SIGTERM, without waiting for what comes of it.
func (p *Process) Signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running() {
		_ = p.cmd.Process.Signal(sig)
	}
}

// Term asks it to end in good order and waits for that. It fails if the context ends
// first, and leaves the process as it is then.
func (p *Process) Term(ctx context.Context) error {
	p.Signal(p.stopping)
	ended := p.Ended()
	if ended == nil {
		return nil
	}
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s has not ended: %w", p.name, ctx.Err())
	}
}

// end is Term, and Kill for one that takes too long.
func (p *Process) end(patience time.Duration) {
	p.Thaw()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if p.Term(ctx) != nil {
		p.Kill()
	}
}

// failure says that it ended, with the last of what it said.
func (p *Process) failure() error {
	text, _ := os.ReadFile(p.Log())
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return fmt.Errorf("%s ended by itself:\n%s", p.name, strings.Join(lines[max(0, len(lines)-15):], "\n"))
}

// await asks until the answer is yes. It fails early if one of the processes ends.
func await(ctx context.Context, what string, asked func(context.Context) error, needed ...*Process) error {
	var last error
	for {
		if last = asked(ctx); last == nil {
			return nil
		}
		for _, p := range needed {
			if !p.Running() {
				return p.failure()
			}
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, errors.Join(ctx.Err(), last))
		}
	}
}

// children are the processes that a process started itself.
func children(parent int) []int {
	var out []int
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range all {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(fields) < 2 || fields[1] != strconv.Itoa(parent) {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(path, "/")[2]); err == nil {
			out = append(out, pid)
		}
	}
	return out
}

// awaitGone returns when a killed process is gone, but for what its parent has not
// asked about yet.
func awaitGone(pid int) {
	for {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return
		}
		if _, after, _ := strings.Cut(string(text), ") "); strings.HasPrefix(after, "Z") || strings.HasPrefix(after, "X") {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}
