package embedded

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// folder is a data folder by its absolute path.
type folder string

func folderAt(dir string) (folder, error) {
	if dir == "" {
		return "", errors.New("no data folder is named")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find the data folder: %w", err)
	}
	return folder(abs), nil
}

func (f folder) file(name string) string { return filepath.Join(string(f), name) }
func (f folder) data() string            { return f.file("data") }
func (f folder) unfinished() string      { return f.file("data.unfinished") }
func (f folder) log() string             { return f.file("postgres.log") }

// claim makes the folder unless it is there, refuses it if it holds something
// else, and locks it for this process.
func (f folder) claim(a account) (*os.File, error) {
	mode := fs.FileMode(0o700)
	if a.other {
		mode = 0o711
	}
	if err := os.MkdirAll(string(f), mode); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	if err := f.checkOurs(); err != nil {
		return nil, err
	}
	lock, err := lockFile(f.file("tillbook.lock"))
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, refuse(ErrInUse, "the data folder %s is in use by another process%s: stop that one or choose another folder with --data-dir",
			f, f.holder())
	}
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	if err := errors.Join(lock.Truncate(0), writeHolder(lock), f.openTo(a)); err != nil {
		unlock(lock)
		return nil, fmt.Errorf("claim the data folder: %w", err)
	}
	return lock, nil
}

func writeHolder(lock *os.File) error {
	_, err := fmt.Fprintln(lock, os.Getpid())
	return err
}

// openTo lets another account through to the data in this folder, which stays
// ours. The files beside the data are closed to it each by its own mode.
func (f folder) openTo(a account) error {
	info, err := os.Stat(string(f))
	if err != nil || !a.other || info.Mode()&0o001 != 0 || int(info.Sys().(*syscall.Stat_t).Uid) == a.uid {
		return err
	}
	return os.Chmod(string(f), info.Mode().Perm()|0o011)
}

// checkOurs lets an empty folder pass, and one that was claimed before.
func (f folder) checkOurs() error {
	entries, err := os.ReadDir(string(f))
	if err != nil {
		return fmt.Errorf("read the data folder: %w", err)
	}
	foreign := ""
	for _, entry := range entries {
		switch entry.Name() {
		case "tillbook.lock":
			return nil
		case "lost+found": // at the root of a volume
		default:
			foreign = entry.Name()
		}
	}
	if foreign == "" {
		return nil
	}
	return refuse(ErrNotOurs, "%s holds files that are not Tillbook's, such as %s: choose an empty or new folder with --data-dir", f, foreign)
}

// holder says who holds tillbook.lock, as far as that is known.
func (f folder) holder() string {
	if pid := readNumber(f.file("tillbook.lock")); pid > 0 {
		return fmt.Sprintf(" (pid %d)", pid)
	}
	return ""
}

// lockFile returns EWOULDBLOCK if another process holds the lock. It lasts until
// every copy of the file's descriptor is closed.
func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// unlock lets go of a lock even while a program that is just being started has
// a copy of its descriptor.
func unlock(lock *os.File) {
	_ = syscall.Flock(int(lock.Fd()), syscall.LOCK_UN)
	lock.Close()
}

// major returns the major version that made the data, or 0 if there is none yet.
func (f folder) major() (int, error) {
	path := filepath.Join(f.data(), "PG_VERSION")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if entries, _ := os.ReadDir(f.data()); len(entries) > 0 {
			return 0, refuse(ErrNotOurs, "%s is not empty, but PostgreSQL didn't make it: choose another folder with --data-dir", f.data())
		}
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the data folder's version: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, refuse(ErrNotOurs, "%s holds no version of PostgreSQL that is known: choose another folder with --data-dir", path)
	}
	return major, nil
}

func (f folder) password() (string, error) {
	text, err := os.ReadFile(f.file("password"))
	return strings.TrimSpace(string(text)), err
}

// ensurePassword makes the password on the folder's first use.
func (f folder) ensurePassword() (string, error) {
	password, err := f.password()
	if err == nil && password != "" {
		return password, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the database's password: %w", err)
	}
	if _, err := os.Stat(f.data()); err == nil {
		return "", fmt.Errorf("the file %s with the database's password is missing: put it back", f.file("password"))
	}
	password = rand.Text()
	if err := writeFile(f.file("password"), password+"\n"); err != nil {
		return "", fmt.Errorf("keep the database's password: %w", err)
	}
	return password, nil
}

// choosePort returns the port of the last run if it is free, else another, and
// remembers it.
func (f folder) choosePort() (int, error) {
	if port := readNumber(f.file("port")); port > 0 && isFree(port) {
		return port, nil
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	if err := writeFile(f.file("port"), strconv.Itoa(port)+"\n"); err != nil {
		return 0, fmt.Errorf("remember the port: %w", err)
	}
	return port, nil
}

func isFree(port int) bool {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	listener.Close()
	return true
}

// writeFile writes all or nothing.
func writeFile(path, text string) error {
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// readNumber reads the number on the first line of a file, or 0.
func readNumber(path string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	n, _ := strconv.Atoi(strings.TrimSpace(string(line)))
	return n
}
