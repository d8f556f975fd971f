package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// diskSize is that of a database node's disk: more than all scenarios write.
const diskSize = "4g"

// disks are the file systems of the database nodes.
type disks []string

// mountDisks mounts some, each in memory. That takes root.
func mountDisks(dir string, n int) (d disks, err error) {
	for i := range n {
		path := filepath.Join(dir, fmt.Sprintf("db-%d", i))
		if err := os.MkdirAll(path, 0o755); err != nil {
			return d, err
		}
		if err := syscall.Mount("torture", path, "tmpfs", 0, "mode=0755,size="+diskSize); err != nil {
			d.unmount()
			return nil, fmt.Errorf("disk-full needs to mount a small disk, which only root may, and not in every container: %w; run the other scenarios with SCENARIOS", err)
		}
		d = append(d, path)
		if err := ownedByDatabase(path); err != nil {
			d.unmount()
			return nil, err
		}
	}
	return d, nil
}

// ownedByDatabase gives a folder to the user that PostgreSQL runs as where this
// process is root.
func ownedByDatabase(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return err
	}
	uid, uidErr := strconv.Atoi(u.Uid)
	gid, gidErr := strconv.Atoi(u.Gid)
	return errors.Join(uidErr, gidErr, os.Chown(path, uid, gid))
}

// data is the folder for node i's files. It is below the mount, so that it can be
// removed and made anew.
func (d disks) data(i int) string { return filepath.Join(d[i], "data") }

// fill leaves no room on a disk: what is there is its size.
func (d disks) fill(i int) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(d[i], &fs); err != nil {
		return err
	}
	used := (int64(fs.Blocks) - int64(fs.Bfree)) * fs.Bsize
	return syscall.Mount("torture", d[i], "tmpfs", syscall.MS_REMOUNT, fmt.Sprint("size=", used))
}

// grow makes room again.
func (d disks) grow() error {
	var err error
	for _, path := range d {
		err = errors.Join(err, syscall.Mount("torture", path, "tmpfs", syscall.MS_REMOUNT, "size="+diskSize))
	}
	return err
}

func (d disks) unmount() {
	for _, path := range d {
		if err := syscall.Unmount(path, syscall.MNT_DETACH); err != nil {
			fmt.Fprintln(os.Stderr, "torture:", path, "can't be unmounted:", err)
		}
	}
}
