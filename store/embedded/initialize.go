package embedded

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// initialize makes the data on the folder's first use and returns the owner's
// password. It works beside the final place and renames at the end, so that an
// interrupted one leaves no half-made data behind.
func (s *Server) initialize(ctx context.Context) (string, error) {
	f := s.folder
	password, err := f.ensurePassword()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(f.data(), "PG_VERSION")); err == nil {
		return password, nil
	}
	lock, err := s.lockServer(ctx)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	fmt.Fprintf(s.options.Log, "Making a PostgreSQL %d database in %s\n", s.installation.Major, f)
	if err := os.RemoveAll(f.unfinished()); err != nil {
		return "", fmt.Errorf("remove an unfinished database: %w", err)
	}
	if err := s.initdb(ctx, password, lock); err != nil {
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

func (s *Server) initdb(ctx context.Context, password string, lock *os.File) (err error) {
	f, a := s.folder, s.account
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
	if s.temporary {
		args = append(args, "--no-sync")
	} else {
		args = append(args, "--data-checksums")
	}
	cmd := a.command(filepath.Join(s.installation.Bin, "initdb"), args...)
	cmd.ExtraFiles = []*os.File{lock}
	if out, err := runInGroup(ctx, cmd); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("make the database: %w", ctx.Err())
		}
		return refuse(ErrFailed, "initdb of PostgreSQL %d failed: %s", s.installation.Major, cmp.Or(complaintIn(out), err.Error()))
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
