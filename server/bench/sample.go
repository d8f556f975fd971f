package bench

import (
	"slices"
	"time"
)

// sample is what one measurement found.
type sample struct {
	PerSecond float64
	P50, P99  time.Duration
	// PerCommit is how many transfers a commit of PostgreSQL carried.
	PerCommit float64
	// CPU is the processor time of one transfer by process.
	CPU cpuSplit
	// Rows is what one transfer cost PostgreSQL.
	Rows rowCost
	// SealLag is the age of the oldest commit that wasn't sealed yet: the median,
	// and the most. Zero where that wasn't looked at.
	SealLag, SealLagMost time.Duration
	// Buffers is how many pages of tables and indexes one look-up touched, in an
	// account of so many Entries.
	Buffers, Entries float64
}

// rowCost counts what one transfer wrote.
type rowCost struct {
	Inserted, Updated float64 // tuples
	HotShare          float64 // of the updates, those that touched no index
	IndexEntries      float64
	WALBytes          float64
}

// latencies gathers how long calls took.
type latencies []time.Duration

// quantile returns the latency that the share q of the calls did not exceed.
func (l latencies) quantile(q float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	return l[min(int(q*float64(len(l))), len(l)-1)]
}

func newSample(all latencies, took time.Duration) sample {
	slices.Sort(all)
	return sample{
		PerSecond: float64(len(all)) / took.Seconds(),
		P50:       all.quantile(0.50),
		P99:       all.quantile(0.99),
	}
}

// median returns the median of what f says of the samples.
func median(samples []sample, f func(sample) float64) float64 {
	if len(samples) == 0 {
		return 0
	}
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = f(s)
	}
	return medianOf(values)
}

func medianOf(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}

// ratio returns the median over the rounds of f(a) / f(b).
func ratio(a, b []sample, f func(sample) float64) float64 {
	values := make([]float64, 0, len(a))
	for i := range min(len(a), len(b)) {
		if d := f(b[i]); d > 0 {
			values = append(values, f(a[i])/d)
		}
	}
	if len(values) == 0 {
		return 0
	}
	return medianOf(values)
}

func perSecond(s sample) float64 { return s.PerSecond }
func p50(s sample) float64       { return s.P50.Seconds() }
func sealLag(s sample) float64   { return s.SealLag.Seconds() }

// sealLagMost is the most of a round.
func sealLagMost(s sample) float64 { return s.SealLagMost.Seconds() }
