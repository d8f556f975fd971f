package storetest

import (
	"context"
	"os"
	"syscall"

	"github.com/tillbook/tillbook/store/embedded"
)

// StartShared starts a server for one run of tests: as fast as PostgreSQL goes
// when nothing needs to survive.
func StartShared(ctx context.Context) (*embedded.Server, error) {
	return embedded.StartTemporary(ctx, embedded.Options{
		Dir: memoryFolder(),
		Settings: map[string]string{
			"fsync":              "off",
			"synchronous_commit": "off",
			"full_page_writes":   "off",
			"wal_level":          "minimal",
			"max_wal_senders":    "0",
			"max_wal_size":       "256MB",
			"max_connections":    "400",
			"autovacuum":         "off",
			// In the data folder, so that it goes with it.
			"dynamic_shared_memory_type": "mmap",
		},
	})
}

// roomNeeded is what a run of tests may come to, with room to spare.
const roomNeeded = 4 << 30

// memoryFolder returns a folder in memory, where a database is made ten times as
// fast, or "" for the usual one where there is none or not enough room in it.
func memoryFolder() string {
	const folder = "/dev/shm"
	probe, err := os.CreateTemp(folder, "tillbook-")
	if err != nil {
		return ""
	}
	probe.Close()
	os.Remove(probe.Name())
	var stat syscall.Statfs_t
	if err := syscall.Statfs(folder, &stat); err != nil || stat.Bavail*uint64(stat.Bsize) < roomNeeded {
		return ""
	}
	return folder
}
