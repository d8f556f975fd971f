package stack

import "syscall"

// endWithParent has Linux send the signal to the process when this one is gone in
// whatever way.
func endWithParent(attr *syscall.SysProcAttr, sig syscall.Signal) { attr.Pdeathsig = sig }
