package embedded

import (
	"bufio"
	"errors"
	"fmt"
	"io"
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

// launch starts PostgreSQL on the folder and doesn't wait for it. Its log starts
// at the returned offset of the log file.
func launch(f folder, i Installation, a account, settings map[string]string, temporary bool) (*process, int64, error) {
	log, offset, err := openLog(f.log())
	if err != nil {
		return nil, 0, fmt.Errorf("open PostgreSQL's log: %w", err)
	}
	defer log.Close()
	// The server inherits the descriptor, so the lock lasts until the last of its
	// processes is gone.
	lock, err := lockFile(f.file("postgres.lock"))
	if err != nil {
		return nil, 0, fmt.Errorf("lock the data folder for PostgreSQL: %w", err)
	}
	defer lock.Close()

	args := []string{"-D", f.data()}
	for _, name := range sortedKeys(settings) {
		args = append(args, "-c", name+"="+settings[name])
	}
	cmd := a.command(filepath.Join(i.Bin, "postgres"), args...)
	cmd.Stderr = log
	cmd.ExtraFiles = []*os.File{lock}
	if err := cmd.Start(); err != nil {
		return nil, 0, fmt.Errorf("start PostgreSQL: %w", err)
	}
	p := &process{cmd: cmd, exited: make(chan struct{})}
	p.watchdog, err = startWatchdog(f, a, cmd.Process.Pid, temporary)
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, 0, err
	}
	go p.wait()
	return p, offset, nil
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

func startWatchdog(f folder, a account, pid int, temporary bool) (*watchdog, error) {
	signal, remove := "INT", ""
	if temporary {
		signal, remove = "QUIT", string(f)
	}
	cmd := a.command("/bin/sh", "-c", watchdogScript, "sh", strconv.Itoa(pid), signal, f.data(), remove)
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
		if line != "" {
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

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
