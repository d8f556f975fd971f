package embedded

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestDataOutlivesARestart(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	s := mustStart(t, dir, nil)
	remember(t, s.URL())
	mustStop(t, s)
	s = mustStart(t, dir, nil)
	if !remembered(t, s.URL()) {
		t.Error("a restart lost what was committed")
	}
}

func TestDataOutlivesACrash(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	s := mustStart(t, dir, nil)
	remember(t, s.URL())
	s.Kill()
	s = mustStart(t, dir, nil)
	if !remembered(t, s.URL()) {
		t.Error("a crash lost what was committed")
	}
}

func TestTheDefaultsAreDurableAndSettingsGoOnTop(t *testing.T) {
	t.Parallel()
	s := mustStart(t, newDir(t), map[string]string{"max_connections": "77", "listen_addresses": "*"})
	for name, want := range map[string]string{
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "data_checksums": "on",
		"max_connections": "77", "listen_addresses": "127.0.0.1", "server_encoding": "UTF8", "lc_collate": "C",
	} {
		if got := exec1(t, s.URL(), "SHOW "+name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

func TestAStrangerDoesntGetIn(t *testing.T) {
	t.Parallel()
	s := mustStart(t, newDir(t), nil)
	for _, password := range []string{"", "guess"} {
		if err := ping(t.Context(), serverURL(s.Port(), password)); !isCode(err, codeWrongPassword) && password != "" {
			t.Errorf("with the password %q: %v", password, err)
		} else if err == nil {
			t.Errorf("came in with the password %q", password)
		}
	}
	if sockets := exec1(t, s.URL(), "SHOW unix_socket_directories"); sockets != "" {
		t.Errorf("there is a door without a password in %s", sockets)
	}
}

func TestAServerThatDoesntStartSaysWhy(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	_, err := Start(t.Context(), Options{Dir: dir, Settings: map[string]string{"shared_buffers": "plenty"}})
	if !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), `"shared_buffers": "plenty"`) {
		t.Errorf("the error is %v", err)
	}
	isOneSentence(t, err)
	mustStart(t, dir, nil)
}

func TestStopEndsEverythingThatStartBegan(t *testing.T) {
	t.Parallel()
	s := mustStart(t, newDir(t), nil)
	postgres, dog := s.process.cmd.Process.Pid, s.process.watchdog.cmd.Process.Pid
	select {
	case <-s.Done():
		t.Error("done before it was stopped")
	default:
	}
	mustStop(t, s)
	<-s.Done()
	waitGone(t, postgres)
	waitGone(t, dog)
	mustStop(t, s)
}

func TestAServerThatEndsByItselfIsNoticed(t *testing.T) {
	t.Parallel()
	s := mustStart(t, newDir(t), nil)
	s.process.signal(syscall.SIGINT)
	<-s.Done()
	waitGone(t, s.process.watchdog.cmd.Process.Pid)
}

func TestAStopThatTakesTooLongStopsAtOnceAndLosesNothing(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	s, err := Start(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	remember(t, s.URL())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Stop(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped in no time: %v", err)
	}
	s = mustStart(t, dir, nil)
	if !remembered(t, s.URL()) {
		t.Error("an immediate stop lost what was committed")
	}
}

func TestAServerDoesntOutliveItsProcess(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	child, kill := startChild(t, childOptions{Dir: dir}, account{})
	if child.Error != "" {
		t.Fatal(child.Error)
	}
	remember(t, child.URL)
	kill()
	waitGone(t, child.Postgres)
	waitGone(t, child.Dog)
	s := mustStart(t, dir, nil)
	if !remembered(t, s.URL()) {
		t.Error("what was committed is lost")
	}
}

// The next start comes at once, while the watchdog is still at work.
func TestAProcessThatWasKilledIsSucceededAtOnce(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	child, kill := startChild(t, childOptions{Dir: dir}, account{})
	if child.Error != "" {
		t.Fatal(child.Error)
	}
	remember(t, child.URL)
	kill()
	s := mustStart(t, dir, nil)
	if !remembered(t, s.URL()) {
		t.Error("what was committed is lost")
	}
}

func TestAServerLeftBehindIsShutDownByTheNextStart(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	child, kill := startChild(t, childOptions{Dir: dir}, account{})
	if child.Error != "" {
		t.Fatal(child.Error)
	}
	remember(t, child.URL)
	if err := syscall.Kill(child.Dog, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitGone(t, child.Dog)
	kill()
	if !isAlive(child.Postgres) {
		t.Fatal("nothing was left behind")
	}
	if !IsRunning(t.Context(), dir) {
		t.Error("a server left behind can't be attached to")
	}
	s := mustStart(t, dir, nil)
	waitGone(t, child.Postgres)
	if !remembered(t, s.URL()) {
		t.Error("what was committed is lost")
	}
}

// In a container the process ids begin anew, so the one that a killed server
// noted soon belongs to something else.
func TestANoteOfAKilledServerDoesntStopTheNext(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	s := mustStart(t, dir, nil)
	remember(t, s.URL())
	s.Kill()
	a, err := serverAccount(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	other := a.command("sleep", "600")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = other.Process.Kill()
		_ = other.Wait()
	})
	note := filepath.Join(dir, "data", "postmaster.pid")
	text, err := os.ReadFile(note)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n")
	if err := os.WriteFile(note, []byte(strconv.Itoa(other.Process.Pid)+"\n"+rest), 0o600); err != nil {
		t.Fatal(err)
	}
	s = mustStart(t, dir, nil)
	if !remembered(t, s.URL()) {
		t.Error("what was committed is lost")
	}
}

func TestATemporaryServerTakesItsFolderAlong(t *testing.T) {
	t.Parallel()
	s, err := StartTemporary(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	remember(t, s.URL())
	mustStop(t, s)
	if _, err := os.Stat(string(s.folder)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
}

func TestATemporaryServersFolderGoesWithItsKilledProcess(t *testing.T) {
	t.Parallel()
	child, kill := startChild(t, childOptions{Temporary: true}, account{})
	if child.Error != "" {
		t.Fatal(child.Error)
	}
	if _, err := os.Stat(child.Folder); err != nil {
		t.Fatal(err)
	}
	kill()
	waitGone(t, child.Postgres)
	waitGone(t, child.Dog)
	if _, err := os.Stat(child.Folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
}

func TestAnOrdinaryUserRunsItAsItself(t *testing.T) {
	t.Parallel()
	as := account{}
	if os.Geteuid() == 0 {
		a, err := serverAccount("")
		if err != nil {
			t.Fatal(err)
		}
		as = a
	}
	parent := reachableDir(t)
	if err := as.own(parent); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(parent, "below", "data")
	child, kill := startChild(t, childOptions{Dir: dir}, as)
	if child.Error != "" {
		t.Fatal(child.Error)
	}
	remember(t, child.URL)
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder is open to others: %v (%v)", info.Mode(), err)
	}
	kill()
	waitGone(t, child.Postgres)
	// Root goes on with it as the user whose data it is.
	s := mustStart(t, dir, nil)
	if !remembered(t, s.URL()) {
		t.Error("another user finds other data")
	}
}

func TestACommandAttachesToARunningServerOrStartsOne(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	if _, err := Attach(t.Context(), dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("attached to a folder that isn't there: %v", err)
	}
	running := mustStart(t, dir, nil)
	remember(t, running.URL())

	attached, err := AttachOrStart(t.Context(), Options{Dir: dir})
	if err != nil || attached.URL() != running.URL() {
		t.Fatalf("attached to %v: %v", attached, err)
	}
	mustStop(t, attached)
	if !IsRunning(t.Context(), dir) {
		t.Fatal("who attached has stopped the server")
	}
	mustStop(t, running)
	if IsRunning(t.Context(), dir) {
		t.Error("a stopped server runs")
	}
	if _, err := Attach(t.Context(), dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("attached to a stopped server: %v", err)
	}

	started, err := AttachOrStart(t.Context(), Options{Dir: dir})
	if err != nil || !remembered(t, started.URL()) {
		t.Fatal(err)
	}
	mustStop(t, started)
	if IsRunning(t.Context(), dir) {
		t.Error("who started the server didn't stop it")
	}
}

func TestACancelledStartLeavesNoServer(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	mustStop(t, mustStart(t, dir, nil))
	// As a standby without queries it lives but never takes connections.
	standby := filepath.Join(dir, "data", "standby.signal")
	if err := os.WriteFile(standby, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for readNumber(filepath.Join(dir, "data", "postmaster.pid")) == 0 && t.Context().Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	_, err := Start(ctx, Options{Dir: dir, Settings: map[string]string{"hot_standby": "off"}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled start: %v", err)
	}
	if pid := readNumber(filepath.Join(dir, "data", "postmaster.pid")); pid != 0 {
		t.Errorf("the server %d is still there", pid)
	}
	if err := os.Remove(standby); err != nil {
		t.Fatal(err)
	}
	mustStart(t, dir, nil)
}

func TestALargeLogIsPutAside(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "postgres.log")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, logLimit+1); err != nil {
		t.Fatal(err)
	}
	log, offset, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if info, err := os.Stat(path + ".old"); err != nil || info.Size() != logLimit+1 || offset != 0 {
		t.Errorf("the old log: %v, %v; the new one begins at %d", info, err, offset)
	}
}
