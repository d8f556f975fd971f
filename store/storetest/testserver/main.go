// Command testserver runs another command beside a PostgreSQL server made for
// tests, and ends with that command's exit code:
//
//	go run ./store/storetest/testserver -- go test ./...
//
// The command finds the server in TILLBOOK_TEST_DATABASE_URL. If that is set
// already, testserver starts none. TILLBOOK_TEST_FOLDER is a folder for what the
// tests make once for all of them, which goes in the end.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/tillbook/tillbook/store/embedded"
	"github.com/tillbook/tillbook/store/storetest"
)

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "testserver:", err)
		code = 1
	}
	os.Exit(code)
}

func run(args []string) (code int, err error) {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		return 2, errors.New("no command to run is named, such as `testserver -- go test ./store`")
	}
	// At a terminal the command gets Ctrl-C by itself and is waited for; what is
	// sent to this process alone is passed on.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if os.Getenv(storetest.URLVariable) == "" {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		server, err := storetest.StartShared(ctx)
		if err != nil {
			return 1, err
		}
		defer func() { err = errors.Join(err, stop(server)) }()
		if err := os.Setenv(storetest.URLVariable, server.URL()); err != nil {
			return 1, err
		}
	}
	if os.Getenv(storetest.FolderVariable) == "" {
		dir, err := os.MkdirTemp(storetest.Parent(), "tillbook-test-")
		if err != nil {
			return 1, err
		}
		defer os.RemoveAll(dir)
		// PostgreSQL, which runs as another user where this one is root, passes through.
		if err := errors.Join(os.Chmod(dir, 0o711), os.Setenv(storetest.FolderVariable, dir)); err != nil {
			return 1, err
		}
	}
	return runCommand(args, signals)
}

func stop(server *embedded.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return server.Stop(ctx)
}

// runCommand passes signals on until the command ends, and returns its code.
func runCommand(args []string, signals <-chan os.Signal) (int, error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			_ = cmd.Process.Signal(s)
		case err := <-ended:
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				return max(exit.ExitCode(), 1), nil
			}
			return 0, err
		}
	}
}
