package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestWhoeverBeginsDuringAWriteWaitsForTheRestOfIt(t *testing.T) {
	got := waits([]time.Duration{2500 * time.Microsecond})
	want := append([]int64{2500, 1500, 500}, make([]int64, 20)...)
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestADiskThatFailedOnceIsNotMeasured(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "probe"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	d := &disk{file: file}
	d.write()
	if got := d.measured(); !strings.HasPrefix(got, "disk: a write takes") {
		t.Errorf("of a disk that works: %s", got)
	}
	gone, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	d.file = gone
	d.write()
	d.file = file
	d.write()
	if got := d.measured(); !strings.HasPrefix(got, "disk: not measured (") || strings.Contains(got, "nil") {
		t.Errorf("of a disk that failed once: %s", got)
	}
}
