package embedded

import "syscall"

// Capabilities of Linux, by their numbers.
const (
	capDACOverride   = 1
	capDACReadSearch = 2
)

// passing are the capabilities that let a process pass a closed folder, the one
// that allows least first. Containers often have just the second to give.
var passing = []uintptr{capDACReadSearch, capDACOverride}

// grant lets a process keep a capability under another user.
func grant(attr *syscall.SysProcAttr, capability uintptr) {
	attr.AmbientCaps = []uintptr{capability}
}
