package hostile

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tillbook/tillbook/store/storetest"
)

// patience is how long a test waits before something is taken to hang.
const patience = time.Minute

// replica is a server process.
type replica struct {
	cmd        *exec.Cmd
	http, grpc string // addresses
	exited     chan struct{}
}

// sandbox starts one replica with a sandbox on a database of its own.
func sandbox(t testing.TB) *replica {
	t.Helper()
	return startReplica(t, storetest.NewDatabase(t), "--sandbox")
}

// secretFile makes a key as production has it.
func secretFile(t testing.TB) string {
	t.Helper()
	key := make([]byte, 32)
	rand.Read(key)
	path := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(path, []byte(base64.StdEncoding.EncodeToString(key)), 0o600))
	return path
}

// startReplica runs a server until the test ends. It must still be there by then.
func startReplica(t testing.TB, database string, args ...string) *replica {
	t.Helper()
	path, err := program()
	must(t, err)
	r := &replica{exited: make(chan struct{})}
	r.cmd = exec.Command(path, append([]string{"serve", "--database-url", database, "--no-migrate", "--max-conns", "10",
		"--listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0", "--grace", "1s", "--log-format", "json"}, args...)...)
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stderr, err := r.cmd.StderrPipe()
	must(t, err)
	must(t, r.cmd.Start())
	log := &tail{}
	serving := make(chan struct{})
	go func() {
		defer close(r.exited)
		r.follow(stderr, log, serving)
		_ = r.cmd.Wait()
	}()
	t.Cleanup(func() {
		select {
		case <-r.exited:
			t.Errorf("the server is gone:\n%s", log)
		default:
		}
		_ = r.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-r.exited:
		case <-time.After(patience):
			t.Error("the server doesn't stop")
			_ = r.cmd.Process.Kill()
			<-r.exited
		}
		if t.Failed() {
			t.Logf("the server's log ends with:\n%s", log)
		}
	})
	select {
	case <-serving:
	case <-r.exited:
		t.Fatalf("the server didn't start:\n%s", log)
	case <-time.After(patience):
		t.Fatalf("the server doesn't start:\n%s", log)
	}
	eventually(t, "ready", func() bool { return r.ready() })
	return r
}

// follow reads the log, in which the server says where it listens.
func (r *replica) follow(stderr io.Reader, log *tail, serving chan<- struct{}) {
	lines := bufio.NewReader(stderr)
	for {
		line, err := lines.ReadString('\n')
		log.add(line)
		if err != nil {
			return
		}
		var said struct {
			Msg    string `json:"msg"`
			Listen string `json:"listen"`
			GRPC   string `json:"grpc_listen"`
		}
		if r.http == "" && json.Unmarshal([]byte(line), &said) == nil && said.Msg == "serving" {
			r.http, r.grpc = said.Listen, said.GRPC
			close(serving)
		}
	}
}

// door is one of the two ways in.
func (r *replica) door(name string) string {
	if name == "native" {
		return r.grpc
	}
	return r.http
}

var doors = []string{"main", "native"}

func (r *replica) ready() bool {
	res, err := plainClient.Get("http://" + r.http + "/readyz")
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}

var plainClient = &http.Client{Timeout: 10 * time.Second}

// metric is the sum of a metric over its labels.
func (r *replica) metric(t testing.TB, name string) (sum float64) {
	t.Helper()
	res, err := plainClient.Get("http://" + r.http + "/metrics")
	must(t, err)
	defer res.Body.Close()
	found := false
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), name)
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		value, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		must(t, err)
		sum, found = sum+value, true
	}
	if !found {
		t.Fatalf("there is no metric %s", name)
	}
	return sum
}

// memory is one of the lines in MiB in which Linux says how much a process has.
func (r *replica) memory(t testing.TB, what string) int {
	t.Helper()
	text, err := os.ReadFile(r.proc("status"))
	must(t, err)
	_, rest, _ := strings.Cut(string(text), what+":")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	must(t, err)
	return kb >> 10
}

// forgetPeak makes VmHWM begin anew.
func (r *replica) forgetPeak(t testing.TB) {
	t.Helper()
	must(t, os.WriteFile(r.proc("clear_refs"), []byte("5"), 0))
}

func (r *replica) proc(file string) string {
	return filepath.Join("/proc", strconv.Itoa(r.cmd.Process.Pid), file)
}

// tail is the end of a log, without the calls that were refused.
type tail struct {
	mu    sync.Mutex
	lines []string
}

const tailLines = 30

func (l *tail) add(line string) {
	if strings.Contains(line, `"level":"INFO","msg":"call failed"`) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lines = append(l.lines, line); len(l.lines) > tailLines {
		l.lines = l.lines[1:]
	}
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for something that another process brings about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
