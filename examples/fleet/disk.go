package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

const (
	// diskPause is how long the probe rests between two writes, so that it takes
	// little from what it measures.
	diskPause = 20 * time.Millisecond
	// diskBlock is how much it writes: a page, as a small commit does.
	diskBlock = 8192
)

// disk is a probe of what the database's disk takes for what every commit waits for.
// Where others share the disk it stands still now and then, and nothing that is
// acknowledged after a commit can be faster.
type disk struct {
	file *os.File
	done func()

	mu   sync.Mutex
	took []time.Duration
	err  error // the first
}

// watchDisk begins to write to a file in a folder that exists.
func watchDisk(folder string) (*disk, error) {
	file, err := os.Create(filepath.Join(folder, "disk.probe"))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	d := &disk{file: file}
	var running sync.WaitGroup
	running.Go(func() {
		for pause(ctx, diskPause) == nil {
			d.write()
		}
	})
	d.done = func() {
		cancel()
		running.Wait()
		_ = file.Close()
		_ = os.Remove(file.Name())
	}
	return d, nil
}

func (d *disk) write() {
	begin := time.Now()
	_, err := d.file.WriteAt(make([]byte, diskBlock), 0)
	if err == nil {
		err = datasync(d.file)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.took, d.err = append(d.took, time.Since(begin)), cmp.Or(d.err, err)
}

// measured tells what was seen since it was asked last.
func (d *disk) measured() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	took := d.took
	d.took = nil
	if d.err != nil || len(took) == 0 {
		return fmt.Sprintf("disk: not measured (%v)", d.err)
	}
	waits := waits(took)
	slices.Sort(took)
	return fmt.Sprintf("disk: a write takes %v, at most %v; one that is begun at any moment waits p99 %v",
		took[len(took)/2].Round(10*time.Microsecond), took[len(took)-1].Round(100*time.Microsecond), percentile(waits, 99))
}

// waits are how long writes would have waited for the disk, in microseconds, had one
// been begun every millisecond: for the rest of the probe's write that was under way.
func waits(took []time.Duration) []int64 {
	var all []int64
	for _, d := range took {
		for left := d; left > 0; left -= time.Millisecond {
			all = append(all, left.Microseconds())
		}
		all = append(all, make([]int64, diskPause/time.Millisecond)...)
	}
	return all
}
