package main

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// Garbage may grow to four times what is alive before it is collected, as long as
	// it is no more than maxGarbage bytes. Most of what is alive are caches, which the
	// collector would otherwise walk many times a second under load; with thousands
	// of terminals online, though, it is their sessions, and memory is dearer then.
	maxGCPercent = 400
	minGCPercent = 50
	maxGarbage   = 256 << 20
	// tuneEvery is how often that is looked at.
	tuneEvery = 5 * time.Second
)

// collectLessOften trades memory for speed until it is stopped, unless GOGC says
// otherwise.
func collectLessOften() (stop func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	now := maxGCPercent
	debug.SetGCPercent(now)
	ticker, ended := time.NewTicker(tuneEvery), make(chan struct{})
	go func() { // ends when it is stopped
		for {
			select {
			case <-ticker.C:
			case <-ended:
				return
			}
			if next := gcPercent(reachable()); next != now {
				now = next
				debug.SetGCPercent(now)
			}
		}
	}()
	return func() {
		ticker.Stop()
		close(ended)
	}
}

// gcPercent is how much garbage there may be, as a part of what the collector reaches:
// in steps of ten, since each change stops the world for a moment.
func gcPercent(reachable uint64) int {
	percent := maxGarbage * 100 / max(reachable, 1)
	return int(min(max(percent/10*10, minGCPercent), maxGCPercent))
}

// reachable is what the last collection had to look at, in bytes.
func reachable() (sum uint64) {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(samples)
	for _, s := range samples {
		if s.Value.Kind() == metrics.KindUint64 {
			sum += s.Value.Uint64()
		}
	}
	return sum
}
