package main

import (
	"fmt"
	"io"
	"time"

	"github.com/tillbook/tillbook/examples/torture/oracle"
)

// row is a line of the table.
type row struct {
	name    string
	verdict *oracle.Verdict // nil if it couldn't be judged
	// recovered is how long after its end the fault was still felt.
	recovered time.Duration
	took      time.Duration
	// notes are what else is worth knowing.
	notes []string
	// failure is why it couldn't be run or judged.
	failure error
}

func (r *row) passed() bool { return r.failure == nil && r.verdict.OK() }

func printHead(w io.Writer) {
	fmt.Fprintf(w, "%-14s %10s %5s %6s %8s %11s %12s %6s\n",
		"scenario", "operations", "lost", "twice", "unknown", "errors for", "recovered in", "took")
}

// print prints the line, and below it what is wrong and what else there is to know.
func (r *row) print(w io.Writer) {
	if r.verdict != nil {
		v := r.verdict
		fmt.Fprintf(w, "%-14s %10d %5d %6d %8d %10.1fs %11.1fs %5.0fs  %s\n", r.name, v.Operations, v.Lost, v.Doubled, v.Unknown,
			v.ErrorWindow.Seconds(), r.recovered.Seconds(), r.took.Seconds(), map[bool]string{true: "passed", false: "FAILED"}[r.passed()])
		for _, p := range v.Problems {
			fmt.Fprintln(w, "   ", p)
		}
	}
	for _, n := range r.notes {
		fmt.Fprintln(w, "   ", n)
	}
	if r.failure != nil {
		fmt.Fprintf(w, "%-14s FAILED after %.0fs: %v\n", r.name, r.took.Seconds(), r.failure)
	}
}

// printSum prints the line for machines, and says whether all is well.
func printSum(w io.Writer, rows []row) bool {
	passed, lost, doubled := 0, 0, 0
	for i := range rows {
		if rows[i].passed() {
			passed++
		}
		if v := rows[i].verdict; v != nil {
			lost, doubled = lost+v.Lost, doubled+v.Doubled
		}
	}
	fmt.Fprintf(w, "torture: scenarios=%d passed=%d lost=%d doubled=%d\n", len(rows), passed, lost, doubled)
	return passed == len(rows)
}
