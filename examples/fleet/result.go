package main

import (
	"fmt"
	"slices"
	"time"
)

// result is what a run found.
type result struct {
	online        int
	memory        float64 // KB a terminal
	push          time.Duration
	recovered     time.Duration
	lost, doubled int
	// missing are cents that customers have too few, or too many.
	missing int64
	// unknown are payments whose outcome can't be learned, merchants those with a
	// balance that isn't what they sold for.
	unknown, merchants int
}

// ok says that nothing was lost or doubled.
func (r *result) ok() bool {
	return r.lost == 0 && r.doubled == 0 && r.missing == 0 && r.unknown == 0 && r.merchants == 0
}

// String is the line for machines.
func (r *result) String() string {
	return fmt.Sprintf("fleet: online=%d mem_per_terminal_kb=%.1f push_p99_ms=%.1f recovered99_s=%.1f lost=%d doubled=%d",
		r.online, r.memory, float64(r.push.Microseconds())/1000, r.recovered.Seconds(), r.lost, r.doubled)
}

// percentile returns the least of some microseconds that p of a hundred don't exceed.
func percentile(us []int64, p int) time.Duration {
	if len(us) == 0 {
		return 0
	}
	slices.Sort(us)
	i := (len(us)*p+99)/100 - 1
	return (time.Duration(us[max(i, 0)]) * time.Microsecond).Round(100 * time.Microsecond)
}
