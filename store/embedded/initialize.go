package embedded

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// initialize makes the data on the folder's first use and returns the owner's
// password. It works beside the final place and renames at the end, so that an
// interrupted one leaves no half-made data behind.
func (f folder) initialize(ctx context.Context, i Installation, a account, temporary bool, log io.Writer) (string, error) {
	password, err := f.ensurePassword()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(f.data(), "PG_VERSION")); err == nil {
		return password, nil
	}
	fmt.Fprintf(log, "Making a PostgreSQL %d database in %s\n", i.Major, f)
	if err := os.RemoveAll(f.unfinished()); err != nil {
		return "", fmt.Errorf("remove an unfinished database: %w", err)
	}
	if err := f.initdb(ctx, i, a, password, temporary); err != nil {
		return "", err
	}
	if err := os.Remove(f.data()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("put the new database in place: %w", err)
	}
	if err := os.Rename(f.unfinished(), f.data()); err != nil {
		return "", fmt.Errorf("put the new database in place: %w", err)
	}
	return password, nil
}

func (f folder) initdb(ctx context.Context, i Installation, a account, password string, temporary bool) (err error) {
	if err := os.Mkdir(f.unfinished(), 0o700); err != nil {
		return fmt.Errorf("make the database: %w", err)
	}
	// The account must read the password once; it goes again right after.
	passwordFile := f.file("password.initdb")
	if err := writeFile(passwordFile, password+"\n"); err != nil {
		return fmt.Errorf("make the database: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(passwordFile)) }()
	if err := errors.Join(a.own(f.unfinished()), a.own(passwordFile)); err != nil {
		return fmt.Errorf("make the database: %w", err)
	}

	args := []string{
		"-D", f.unfinished(), "--username=" + ownerName, "--pwfile=" + passwordFile,
		"--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-instructions",
	}
	if temporary {
		args = append(args, "--no-sync")
	} else {
		args = append(args, "--data-checksums")
	}
	if out, err := runInGroup(ctx, a.command(filepath.Join(i.Bin, "initdb"), args...)); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("make the database: %w", ctx.Err())
		}
		return refuse(ErrFailed, "initdb of PostgreSQL %d failed: %s", i.Major, cmp.Or(complaintIn(out), err.Error()))
	}
	return nil
}

// runInGroup runs a command that leads a session of its own, and ends all of the
// session with the context.
func runInGroup(ctx context.Context, cmd *exec.Cmd) (*bytes.Buffer, error) {
	out := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return out, err
	}
	stop := context.AfterFunc(ctx, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer stop()
	return out, cmd.Wait()
}

const (
	leftoverTimeout = 60 * time.Second
	// A server that loses its process shuts down by itself; that is waited for
	// before anything is done about it.
	leftoverGrace = 2 * time.Second
)

// endLeftover waits until no server of an earlier process has the folder any
// more, and shuts one down that doesn't go. The caller holds tillbook.lock.
func (f folder) endLeftover(ctx context.Context, log io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, leftoverTimeout)
	defer cancel()
	start, told := time.Now(), false
	for {
		lock, err := lockFile(f.file("postgres.lock"))
		if err == nil {
			f.clearStalePid()
			return lock.Close()
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("lock the data folder for PostgreSQL: %w", err)
		}
		pid := readNumber(filepath.Join(f.data(), "postmaster.pid"))
		if !told && pid > 1 && time.Since(start) > leftoverGrace {
			fmt.Fprintf(log, "Shutting down a PostgreSQL (pid %d) that an earlier run left behind\n", pid)
			_ = syscall.Kill(pid, syscall.SIGINT)
			told = true
		}
		if sleep(ctx, pollInterval) != nil {
			return refuse(ErrInUse, "a PostgreSQL (pid %d) of an earlier run still has the data folder %s: end it with `kill -INT %d` and try again", pid, f, pid)
		}
	}
}

// clearStalePid removes the note of a server that was killed when its process id
// belongs to something else by now, as happens in containers: PostgreSQL would
// believe that it still runs. That it doesn't is known from postgres.lock, which
// the caller holds; a server started on the data by hand is a postgres, and its
// note stays.
func (f folder) clearStalePid() {
	path := filepath.Join(f.data(), "postmaster.pid")
	pid := readNumber(path)
	if pid <= 0 {
		return
	}
	name, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	if err != nil || strings.TrimSpace(string(name)) == "postgres" {
		return
	}
	_ = os.Remove(path)
}
