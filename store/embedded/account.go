package embedded

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the user that the server runs as.
type account struct {
	name     string
	uid, gid int
	// other says that it isn't the user of this process.
	other bool
	// capability lets it pass folders that are closed to it; 0 for none.
	capability uintptr
}

// serverAccount is this process's own user, unless that is root: then the user
// who owns the data, and before there is any, postgres or nobody.
func serverAccount(data string) (account, error) {
	if os.Geteuid() != 0 {
		return account{uid: os.Geteuid(), gid: os.Getegid()}, nil
	}
	if info, err := os.Stat(data); err == nil {
		if stat := info.Sys().(*syscall.Stat_t); stat.Uid != 0 {
			return ownerAccount(int(stat.Uid), int(stat.Gid)), nil
		}
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.Atoi(u.Uid)
		if err != nil {
			continue
		}
		gid, err := strconv.Atoi(u.Gid)
		if err != nil {
			continue
		}
		return account{name: name, uid: uid, gid: gid, other: true}, nil
	}
	return account{}, refuse(ErrUnreachable,
		"PostgreSQL refuses to run as root, and this machine has neither a user postgres nor nobody: run as an ordinary user or create one with `useradd postgres`")
}

func ownerAccount(uid, gid int) account {
	a := account{name: fmt.Sprintf("with id %d", uid), uid: uid, gid: gid, other: true}
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		a.name = u.Username
	}
	return a
}

// command prepares a program to run as the account, in a session of its own, so
// that Ctrl-C at the terminal reaches this process only, and with nothing of our
// environment, where PGPORT and its like would change what it does.
func (a account) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if a.other {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	if a.capability != 0 {
		grant(cmd.SysProcAttr, a.capability)
	}
	return cmd
}

// own gives a file or folder that this process just made to the account.
func (a account) own(path string) error {
	if !a.other {
		return nil
	}
	return os.Chown(path, a.uid, a.gid)
}

// reach returns the account with what it takes to get to the folder: nothing
// more than it is, as a rule; a capability where a folder above is closed to it,
// as root's home is on Debian. Where not even that helps, it names the folder
// that shuts the account out. It tries rather than compares modes, which don't
// tell of access lists.
func (a account) reach(ctx context.Context, dir string) (account, error) {
	if !a.other || a.canEnter(dir) {
		return a, nil
	}
	for _, capability := range passing {
		b := a
		b.capability = capability
		if b.canEnter(dir) {
			return b, nil
		}
	}
	if err := ctx.Err(); err != nil {
		return a, err
	}
	return a, a.shutOut(dir)
}

// shutOut refuses a folder that the account can't get to.
func (a account) shutOut(dir string) error {
	closed := dir
	for parent := filepath.Dir(dir); parent != closed && !a.canEnter(parent); parent = filepath.Dir(parent) {
		closed = parent
	}
	return refuse(ErrUnreachable,
		"the user %s, as whom PostgreSQL runs because it refuses root, may not enter %s: choose a data folder outside of it with --data-dir, or allow it with `chmod o+x %s`",
		a.name, closed, closed)
}

func (a account) canEnter(dir string) bool {
	return a.command("/bin/sh", "-c", `cd -- "$1"`, "sh", dir).Run() == nil
}
