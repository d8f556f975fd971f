package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// errInterrupted is why the context of a command ended, where Ctrl-C ended it.
var errInterrupted = errors.New("interrupted")

// untilSignal returns a context that ends at the first Ctrl-C or SIGTERM, for
// what runs to stop in good order. The second one ends the process on the spot;
// the private database, if there is one, then shuts itself down.
func untilSignal(parent context.Context) (ctx context.Context, stop func()) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // It is ignored under nohup.
		signals = append(signals, syscall.SIGHUP)
	}
	received := make(chan os.Signal, 2)
	signal.Notify(received, signals...)

	ctx, cancel := context.WithCancelCause(parent)
	done := make(chan struct{})
	go func() {
		select {
		case <-received:
			cancel(errInterrupted)
		case <-done:
			return
		}
		select {
		case <-received:
			os.Exit(exitInterrupted)
		case <-done:
		}
	}()
	return ctx, func() {
		signal.Stop(received)
		close(done)
		cancel(nil)
	}
}
