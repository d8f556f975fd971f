package storetest

import (
	"context"

	"github.com/tillbook/tillbook/store/embedded"
)

// StartShared starts a server for one run of tests: as fast as PostgreSQL goes
// when nothing needs to survive.
func StartShared(ctx context.Context) (*embedded.Server, error) {
	return embedded.StartTemporary(ctx, embedded.Options{
		Dir: Parent(),
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

// Parent is where the folders of servers are made: in memory if there is room, or ""
// for the system's folder for temporary files. Memory outlives the end of a server,
// however sudden, as a disk does, and nobody waits for it.
func Parent() string { return embedded.MemoryFolder(roomNeeded) }

// roomNeeded is what a run of tests may come to, with room to spare.
const roomNeeded = 4 << 30
