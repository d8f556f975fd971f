package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// process is a postmaster that this process started, and its watchdog.
type process struct {
	cmd      *exec.Cmd
	watchdog *watchdog
	// exited is closed once the postmaster has ended.
	exited chan struct{}
}

// launch starts PostgreSQL and doesn't wait for it. Its log starts at the
// returned offset of the log file.
func (s *Server) launch(ctx context.Context) (int64, error) {
	lock, err := s.lockServer(ctx)
	if err != nil {
		return 0, err
	}
	defer lock.Close()
	log, offset, err := openLog(s.folder.log())
	if err != nil {
		return 0, fmt.Errorf("open PostgreSQL's log: %w", err)
	}
	defer log.Close()

	args, settings := []string{"-D", s.folder.data()}, s.settings()
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	cmd := s.account.command(filepath.Join(s.installation.Bin, "postgres"), args...)
	cmd.Stderr = log
	cmd.ExtraFiles = []*os.File{lock}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start PostgreSQL: %w", err)
	}
	watchdog, err := s.startWatchdog(cmd.Process.Pid)
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return 0, err
	}
	s.process = &process{cmd: cmd, watchdog: watchdog, exited: make(chan struct{})}
	go s.process.wait()
	return offset, nil
}

// wait ends when the postmaster does.
func (p *process) wait() {
	_ = p.cmd.Wait()
	p.watchdog.dismiss()
	close(p.exited)
}

func (p *process) signal(s syscall.Signal) {
	// An error means that it has ended already.
	_ = p.cmd.Process.Signal(s)
}

// watchdogScript waits for a word or for the end of its input. A word means that
// PostgreSQL has ended. The end alone means that whoever held the other side of
// the pipe is gone: then it sends the signal, unless PostgreSQL ended in the
// same moment, and takes a temporary folder away.
const watchdogScript = `
pid=$1 signal=$2 data=$3 temporary=$4
read -r word && exit 0
read -r running 2>/dev/null <"$data/postmaster.pid"
[ "$running" = "$pid" ] && kill -"$signal" "$pid"
[ -n "$temporary" ] || exit 0
n=0
while [ -e "$data/postmaster.pid" ] && kill -0 "$pid" 2>/dev/null && [ $n -lt 50 ]; do
	sleep 0.1
	n=$((n+1))
done
rm -rf -- "$temporary"
`

type watchdog struct {
	cmd  *exec.Cmd
	pipe io.WriteCloser
}

func (s *Server) startWatchdog(pid int) (*watchdog, error) {
	signal, remove := "INT", ""
	if s.temporary {
		signal, remove = "QUIT", string(s.folder)
	}
	cmd := s.account.command("/bin/sh", "-c", watchdogScript, "sh", strconv.Itoa(pid), signal, s.folder.data(), remove)
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL's watchdog: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start PostgreSQL's watchdog: %w", err)
	}
	return &watchdog{cmd, pipe}, nil
}

// dismiss ends the watchdog, whose PostgreSQL has ended.
func (w *watchdog) dismiss() {
	_, _ = io.WriteString(w.pipe, "ended\n")
	_ = w.pipe.Close()
	_ = w.cmd.Wait()
}

// logLimit is where a log is put aside at the next start.
const logLimit = 64 << 20

func openLog(path string) (*os.File, int64, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > logLimit {
		if err := os.Rename(path, path+".old"); err != nil {
			return nil, 0, err
		}
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, info.Size(), nil
}

// lastComplaint returns the last line of a log, from the offset on, that says
// what went wrong.
func lastComplaint(path string, offset int64) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return ""
	}
	return complaintIn(file)
}

func complaintIn(r io.Reader) string {
	complaint, last := "", ""
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		// initdb ends by telling how it cleans up.
		if line != "" && !strings.HasPrefix(line, "initdb: removing") {
			last = line
		}
		for _, level := range []string{"PANIC:", "FATAL:", "ERROR:", "error:"} {
			if _, text, ok := strings.Cut(line, level); ok {
				complaint = strings.TrimSpace(text)
			}
		}
	}
	if complaint != "" {
		return complaint
	}
	return last
}
