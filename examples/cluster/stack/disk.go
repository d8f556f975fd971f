package stack

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// mountDisk gives a node a disk of its own, in memory, that can be full.
func (s *Stack) mountDisk(n *Node) error {
	if os.Geteuid() != 0 {
		return errors.New("a disk of limited size is mounted, which only root may do")
	}
	n.disk = n.data
	n.data = filepath.Join(n.disk, "data")
	if err := os.MkdirAll(n.disk, 0o700); err != nil {
		return err
	}
	options := fmt.Sprintf("size=%dm,mode=0700,uid=%d,gid=%d", s.options.DiskMB, s.account.uid, s.account.gid)
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "tillbook", n.disk).CombinedOutput(); err != nil {
		return fmt.Errorf("mount a disk: %w: %s", err, out)
	}
	return nil
}

// unmountDisk ends what mountDisk began.
func (n *Node) unmountDisk() error {
	if n.disk == "" {
		return nil
	}
	out, err := exec.Command("umount", n.disk).CombinedOutput()
	if err != nil {
		return fmt.Errorf("unmount a disk: %w: %s", err, out)
	}
	n.disk = ""
	return nil
}

func (n *Node) ballast() string { return filepath.Join(n.disk, "ballast") }

// FillDisk leaves no room on the node's disk. It needs Options.DiskMB.
func (n *Node) FillDisk() error {
	if n.disk == "" {
		return errors.New("the node has no disk of its own to fill: Options.DiskMB gives it one")
	}
	file, err := os.OpenFile(n.ballast(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := io.Copy(file, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("the disk doesn't fill up: %w", err)
	}
	return nil
}

// FreeDisk gives the room back.
func (n *Node) FreeDisk() error {
	if n.disk == "" {
		return nil
	}
	if err := os.Remove(n.ballast()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// zeros is a reader without an end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
