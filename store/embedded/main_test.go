package embedded

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// childVariable makes this test program another one: it starts a server as told,
// says where, and waits to be killed.
const childVariable = "TILLBOOK_EMBEDDED_CHILD"

type childOptions struct {
	Dir       string
	Temporary bool
}

type childReport struct {
	URL, Folder   string
	Postgres, Dog int
	Error         string
}

func TestMain(m *testing.M) {
	if options := os.Getenv(childVariable); options != "" {
		beChild(options)
	}
	os.Exit(m.Run())
}

func beChild(text string) {
	var options childOptions
	if err := json.Unmarshal([]byte(text), &options); err != nil {
		panic(err)
	}
	start := Start
	if options.Temporary {
		start = StartTemporary
	}
	s, err := start(context.Background(), Options{Dir: options.Dir})
	report := childReport{}
	if err != nil {
		report.Error = err.Error()
	} else {
		report = childReport{
			URL: s.url, Folder: string(s.folder),
			Postgres: s.process.cmd.Process.Pid, Dog: s.process.watchdog.cmd.Process.Pid,
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
		panic(err)
	}
	select {}
}

// startChild starts a server in a process of its own, which kill ends without
// warning.
func startChild(t *testing.T, options childOptions, as account) (report childReport, kill func()) {
	t.Helper()
	text, err := json.Marshal(options)
	if err != nil {
		t.Fatal(err)
	}
	cmd := as.command(reachableProgram(t))
	cmd.Env = append(cmd.Env, childVariable+"="+string(text), BinVariable+"="+os.Getenv(BinVariable), "TMPDIR="+os.Getenv("TMPDIR"))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	kill = func() {
		if !killed {
			killed = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatalf("the child said nothing: %v", err)
	}
	if err := json.Unmarshal(line, &report); err != nil {
		t.Fatal(err)
	}
	return report, kill
}

// reachableProgram copies this program to where other users can run it: go test
// builds it in a folder of its user's own.
func reachableProgram(t *testing.T) string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(reachableDir(t), "program")
	// Not by this process: a fork elsewhere in it would keep the copy open for
	// writing for a moment, and what is open for writing can't be run.
	if out, err := exec.Command("cp", program, path).CombinedOutput(); err != nil {
		t.Fatalf("copy the test program: %v: %s", err, out)
	}
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// reachableDir is a folder that every user can enter; t.TempDir isn't.
func reachableDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(MemoryFolder(4<<30), "tillbook-embedded-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := removeAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// removeAll outlasts a server that writes its last files.
func removeAll(dir string) (err error) {
	for range 100 {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

// newDir is the path of a data folder that isn't there yet.
func newDir(t *testing.T) string { return filepath.Join(reachableDir(t), "data") }

func mustStart(t *testing.T, dir string, settings map[string]string) *Server {
	t.Helper()
	s, err := Start(t.Context(), Options{Dir: dir, Settings: settings, Log: testLog{t}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustStop(t, s) })
	return s
}

type testLog struct{ t *testing.T }

func (l testLog) Write(line []byte) (int, error) {
	l.t.Logf("%s", line)
	return len(line), nil
}

func mustStop(t *testing.T, s *Server) {
	t.Helper()
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

func exec1(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var value any
	if err := conn.QueryRow(t.Context(), sql).Scan(&value); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return fmt.Sprint(value)
}

// remember leaves something in the database that remembered finds.
func remember(t *testing.T, url string) {
	t.Helper()
	exec1(t, url, "WITH t AS (SELECT 1) SELECT lo_from_bytea(4711, 'kept')::text")
}

func remembered(t *testing.T, url string) bool {
	t.Helper()
	return exec1(t, url, "SELECT EXISTS (SELECT FROM pg_largeobject WHERE loid = 4711)") == "true"
}

// waitGone waits until a process has ended; one that no one waits for stays in
// the table as a zombie, which counts as ended.
func waitGone(t *testing.T, pid int) {
	t.Helper()
	for start := time.Now(); isAlive(pid); time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > time.Minute {
			t.Fatalf("process %d goes on", pid)
		}
	}
}

func isAlive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return err != nil || !strings.Contains(string(status), "\nState:\tZ")
}

// programs makes a folder with server programs that only know their version.
func programs(t *testing.T, dir, version string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\necho 'postgres (PostgreSQL) " + version + "'\n"
	for _, name := range []string{"postgres", "initdb"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
