package main

import (
	"os"
	"syscall"
)

// datasync waits until what was written to a file is on the disk, as PostgreSQL does
// here for a commit.
func datasync(file *os.File) error { return syscall.Fdatasync(int(file.Fd())) }
