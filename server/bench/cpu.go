package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// cpuSplit is processor time by process.
type cpuSplit struct {
	PostgreSQL, Server, Load time.Duration
}

func (c cpuSplit) sub(d cpuSplit) cpuSplit {
	return cpuSplit{c.PostgreSQL - d.PostgreSQL, c.Server - d.Server, c.Load - d.Load}
}

func (c cpuSplit) per(n float64) cpuSplit {
	if n == 0 {
		return cpuSplit{}
	}
	each := func(d time.Duration) time.Duration { return time.Duration(float64(d) / n) }
	return cpuSplit{each(c.PostgreSQL), each(c.Server), each(c.Load)}
}

// clockTick is the unit of the times in /proc. Linux shows hundredths of a
// second whatever the kernel counts in.
const clockTick = 10 * time.Millisecond

// processTime returns the processor time of a process, with that of the
// children that have ended, or 0 where the system doesn't tell (only Linux
// does).
func processTime(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The second field, the name in parentheses, may hold anything.
	_, rest, ok := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 15 {
		return 0
	}
	var sum time.Duration
	for _, f := range fields[11:15] { // utime, stime, cutime, cstime
		n, _ := strconv.ParseInt(f, 10, 64)
		sum += time.Duration(n) * clockTick
	}
	return sum
}

// treeTime returns the processor time of a process and all its children.
func treeTime(pid int) time.Duration {
	sum := processTime(pid)
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range tasks {
		children, _ := os.ReadFile(file)
		for _, f := range strings.Fields(string(children)) {
			if child, err := strconv.Atoi(f); err == nil {
				sum += treeTime(child)
			}
		}
	}
	return sum
}

// selfTime returns the processor time of this process.
func selfTime() time.Duration { return processTime(os.Getpid()) }
