package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of CPU times in /proc, the same on all Linux machines.
const tick = 10 * time.Millisecond

// resident is the memory of a process, in bytes, as Linux tells it.
func resident(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("memory is read from /proc, which only Linux has: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if kb, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(kb), " kB"), 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("process %d has no memory", pid)
}

// stat are the fields of a process after its name, which may have spaces.
func stat(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 15 {
		return nil, fmt.Errorf("%s is unreadable", path)
	}
	return fields, nil
}

// ticks adds up fields of /proc/…/stat.
func ticks(fields ...string) (sum time.Duration) {
	for _, f := range fields {
		n, _ := strconv.ParseInt(f, 10, 64)
		sum += time.Duration(n) * tick
	}
	return sum
}

// cpuOf is the CPU time of a process.
func cpuOf(pid int) (time.Duration, error) {
	fields, err := stat(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return ticks(fields[11], fields[12]), nil
}

// cpuOfFamily is that of a process, of its children, and of those that ended.
func cpuOfFamily(parent int) (time.Duration, error) {
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, path := range all {
		fields, err := stat(path)
		if err != nil {
			continue // it has ended
		}
		switch strconv.Itoa(parent) {
		case strings.Split(path, "/")[2]:
			sum += ticks(fields[11:15]...)
		case fields[1]:
			sum += ticks(fields[11], fields[12])
		}
	}
	return sum, nil
}
