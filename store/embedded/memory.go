package embedded

import (
	"os"
	"syscall"
)

// MemoryFolder returns a folder in memory with room for so many bytes, or "" if
// there is none. A server there is a temporary one in any case, and much faster
// at making databases.
func MemoryFolder(room uint64) string {
	const folder = "/dev/shm"
	probe, err := os.CreateTemp(folder, "tillbook-")
	if err != nil {
		return ""
	}
	probe.Close()
	os.Remove(probe.Name())
	var stat syscall.Statfs_t
	if err := syscall.Statfs(folder, &stat); err != nil || uint64(stat.Bavail)*uint64(stat.Bsize) < room {
		return ""
	}
	return folder
}
