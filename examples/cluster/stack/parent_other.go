//go:build !linux

package stack

import "syscall"

// endWithParent does nothing where there is no such thing: Close ends the process.
func endWithParent(*syscall.SysProcAttr, syscall.Signal) {}
