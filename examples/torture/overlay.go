package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// clockVariable names a file with the seconds by which the server's clock is wrong.
// Only the program of buildSkewed looks there.
const clockVariable = "TORTURE_CLOCK_FILE"

// shiftSource is added to package time. It can't import what imports package time.
const shiftSource = `package time

import "syscall"

// shift is by how many seconds this process's clock is wrong.
var shift = readShift()

func readShift() int64 {
	name, _ := syscall.Getenv("` + clockVariable + `")
	if name == "" {
		return 0
	}
	file, err := open(name)
	if err != nil {
		return 0
	}
	defer closefd(file)
	text := make([]byte, 20)
	n, err := read(file, text)
	if err != nil {
		return 0
	}
	seconds, err := atoi(text[:n])
	if err != nil {
		return 0
	}
	return int64(seconds)
}
`

// now is the line of time.Now that reads the clock.
const now = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"

// buildSkewed builds the server with a clock that is wrong. Time namespaces don't
// shift the time of day, and preloading doesn't work for programs without libc; so
// the standard library is another one. The server's own code is as it is.
func buildSkewed(ctx context.Context, source, dir string) (program string, err error) {
	root, err := exec.CommandContext(ctx, "go", "-C", source, "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("finding Go: %w", err)
	}
	folder, err := filepath.Abs(filepath.Join(dir, "overlay"))
	if err != nil {
		return "", err
	}
	// A toolchain that Go fetched by itself is in the cache of modules, where no file
	// may be replaced; by another name it isn't.
	goroot := filepath.Join(folder, "go")
	if err := errors.Join(os.RemoveAll(folder), os.MkdirAll(folder, 0o755), os.Symlink(strings.TrimSpace(string(root)), goroot)); err != nil {
		return "", err
	}
	library := filepath.Join(goroot, "src", "time")
	original, err := os.ReadFile(filepath.Join(library, "time.go"))
	if err != nil {
		return "", err
	}
	shifted := bytes.Replace(original, []byte(now), []byte(now+"\tsec += shift\n"), 1)
	if bytes.Equal(shifted, original) {
		return "", errors.New("time.Now isn't what it was: overlay.go must learn how it reads the clock now")
	}
	program = filepath.Join(folder, "tillbook")
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {
		filepath.Join(library, "time.go"):  filepath.Join(folder, "time.go"),
		filepath.Join(library, "shift.go"): filepath.Join(folder, "shift.go"),
	}})
	if err != nil {
		return "", err
	}
	if err := errors.Join(os.WriteFile(filepath.Join(folder, "time.go"), shifted, 0o644),
		os.WriteFile(filepath.Join(folder, "shift.go"), []byte(shiftSource), 0o644),
		os.WriteFile(filepath.Join(folder, "overlay.json"), overlay, 0o644)); err != nil {
		return "", err
	}
	fmt.Println("building the server whose clock is wrong (once; takes some minutes)")
	build := exec.CommandContext(ctx, filepath.Join(goroot, "bin", "go"), "-C", source, "build", "-buildvcs=false", "-overlay", filepath.Join(folder, "overlay.json"),
		"-o", program, "./server/cmd/tillbook")
	build.Env = append(os.Environ(), "GOROOT="+goroot, "GOTOOLCHAIN=local")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the server whose clock is wrong: %w\n%s", err, out)
	}
	return program, nil
}

// clockFile is the file by which replica i's clock is set.
func (r *rack) clockFile(i int) string { return filepath.Join(r.dir, fmt.Sprintf("clock-%d", i)) }

// skew has replica i run with a clock that is wrong by so much.
func (r *rack) skew(ctx context.Context, i int, by time.Duration) error {
	seconds := strconv.FormatInt(int64(by/time.Second), 10)
	if err := os.WriteFile(r.clockFile(i), []byte(seconds), 0o644); err != nil {
		return err
	}
	program := r.skewed
	if by == 0 {
		program = r.options.tillbook
	}
	program, err := filepath.Abs(program)
	if err != nil {
		return err
	}
	replica := r.Replica(i)
	if err := replica.Term(ctx); err != nil {
		return err
	}
	if err := replica.StartBinary(program); err != nil {
		return err
	}
	return replica.Ready(ctx)
}
