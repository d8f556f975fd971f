package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAFolderOfSomethingElseIsRefusedAndLeftAlone(t *testing.T) {
	t.Parallel()
	dir := reachableDir(t)
	if err := os.WriteFile(filepath.Join(dir, "letter.txt"), []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Options{Dir: dir})
	if !errors.Is(err, ErrNotOurs) || !strings.Contains(err.Error(), "letter.txt") || !strings.Contains(err.Error(), "--data-dir") {
		t.Errorf("started in a folder with a letter: %v", err)
	}
	isOneSentence(t, err)
	entries, _ := os.ReadDir(dir)
	if len(entries) != 1 {
		t.Errorf("the folder now holds %v", entries)
	}
}

func TestAForeignDatabaseIsRefusedAndLeftAlone(t *testing.T) {
	t.Parallel()
	dir := reachableDir(t)
	if err := os.WriteFile(filepath.Join(dir, "PG_VERSION"), []byte("15\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), Options{Dir: dir}); !errors.Is(err, ErrNotOurs) {
		t.Errorf("started in a database of somebody else: %v", err)
	}
}

func TestAFolderOfAnotherMajorVersionIsRefused(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	mustStop(t, mustStart(t, dir, nil))
	version := filepath.Join(dir, "data", "PG_VERSION")
	right, err := os.ReadFile(version)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(version, []byte("9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Start(t.Context(), Options{Dir: dir})
	if !errors.Is(err, ErrOtherVersion) {
		t.Fatalf("started on data of PostgreSQL 9: %v", err)
	}
	for _, want := range []string{dir, "made by PostgreSQL 9", installCommand(9), "--data-dir"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q doesn't say %q", err, want)
		}
	}
	isOneSentence(t, err)
	if err := os.WriteFile(version, right, 0o600); err != nil {
		t.Fatal(err)
	}
	mustStart(t, dir, nil)
}

func TestAFolderInUseIsRefused(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	s := mustStart(t, dir, nil)
	_, err := Start(t.Context(), Options{Dir: dir})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprintf("pid %d", os.Getpid())) {
		t.Errorf("started twice on one folder: %v", err)
	}
	isOneSentence(t, err)
	remember(t, s.URL())
}

// As root's home is on Debian.
func TestAFolderBelowAClosedOneIsReached(t *testing.T) {
	t.Parallel()
	closed := t.TempDir()
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	s := mustStart(t, filepath.Join(closed, "below", "data"), nil)
	remember(t, s.URL())
	if !remembered(t, s.URL()) {
		t.Error("what was written isn't there")
	}
}

func TestAnAccountGetsACapabilityOnlyWhereAFolderIsClosed(t *testing.T) {
	t.Parallel()
	a, err := serverAccount("")
	if err != nil {
		t.Fatal(err)
	}
	open, err := a.reach(t.Context(), reachableDir(t))
	if err != nil || open.capability != 0 {
		t.Errorf("an open folder is reached with capability %d, %v", open.capability, err)
	}
	closed, err := a.reach(t.Context(), t.TempDir())
	if err != nil || (closed.capability != 0) != a.other {
		t.Errorf("a closed folder is reached with capability %d, %v", closed.capability, err)
	}
}

func TestAFolderThatTheServersUserCantReachIsRefused(t *testing.T) {
	t.Parallel()
	closed := t.TempDir()
	a, err := serverAccount("")
	if err != nil {
		t.Fatal(err)
	}
	err = a.shutOut(filepath.Join(closed, "below", "data"))
	if !errors.Is(err, ErrUnreachable) {
		t.Errorf("refused with %v", err)
	}
	isOneSentence(t, err)
	// t.TempDir makes a closed folder around the one it returns.
	if outer := filepath.Dir(closed); a.other && !strings.Contains(err.Error(), "chmod o+x "+outer+"`") {
		t.Errorf("the folder in the way isn't named: %v", err)
	}
}

func TestAClosedFolderOfOurOwnIsOpenedToTheServersUser(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	mustStart(t, dir, nil)
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm()&0o066 != 0 {
		t.Errorf("its files can be listed or changed by others: %v", info.Mode())
	}
}

func TestAnInterruptedFirstStartIsBegunAnew(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Start(ctx, Options{Dir: dir, Log: cancelling{cancel}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("an interrupted start: %v", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "data.unfinished", "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := mustStart(t, dir, nil)
	remember(t, s.URL())
}

// cancelling ends a context at the first line of a log.
type cancelling struct{ cancel context.CancelFunc }

func (c cancelling) Write(line []byte) (int, error) {
	c.cancel()
	return len(line), nil
}

func TestTheDataWithoutItsPasswordIsRefused(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	mustStop(t, mustStart(t, dir, nil))
	password := filepath.Join(dir, "password")
	if err := os.Rename(password, password+".away"); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), password) {
		t.Fatalf("started without the password: %v", err)
	}
	if err := os.WriteFile(password, []byte("wrong\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Start(t.Context(), Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), password) {
		t.Fatalf("started with a wrong password: %v", err)
	}
	isOneSentence(t, err)
	if err := os.Rename(password+".away", password); err != nil {
		t.Fatal(err)
	}
	mustStart(t, dir, nil)
}

func TestSecretsAreClosedToOtherUsers(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	mustStart(t, dir, nil)
	for name, want := range map[string]os.FileMode{"password": 0o600, "postgres.log": 0o600, "data": 0o700} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", name, got, want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "password.initdb")); err == nil {
		t.Error("the server's user still has a copy of the password")
	}
}

func TestThePortStaysUnlessSomebodyElseTakesIt(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	s := mustStart(t, dir, nil)
	port := s.Port()
	mustStop(t, s)
	s = mustStart(t, dir, nil)
	if s.Port() != port {
		t.Errorf("the port went from %d to %d though it was free", port, s.Port())
	}
	mustStop(t, s)
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	s = mustStart(t, dir, nil)
	if s.Port() == port {
		t.Errorf("took the port %d of another program", port)
	}
	remember(t, s.URL())
}

func TestWhatInitdbSaysWhenItIsKilledIsHowItEnded(t *testing.T) {
	t.Parallel()
	out := "running bootstrap script ... child process was terminated by signal 9: Killed\n" +
		"initdb: removing contents of data directory \"/data\"\n"
	if got := complaintIn(strings.NewReader(out)); !strings.Contains(got, "signal 9") {
		t.Errorf("the complaint is %q", got)
	}
}
