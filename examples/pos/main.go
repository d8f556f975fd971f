package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "pos:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	return runCounter(ctx, s)
}

// parse reads the flags.
func parse(args []string) (settings, error) {
	var s settings
	var secure bool
	flags := flag.NewFlagSet("pos", flag.ContinueOnError)
	flags.StringVar(&s.address, "address", "127.0.0.1:8081", "the server's native gRPC `door`")
	flags.BoolVar(&secure, "tls", false, "encrypt, with a certificate that the system trusts; a must unless the server is on this machine")
	flags.StringVar(&s.folder, "folder", ".pos", "where the key and the journal are; one `folder` a till")
	flags.StringVar(&s.printer, "printer", "", "the `file` or device for receipts; receipts.txt in the folder by default")
	flags.StringVar(&s.asset, "asset", "USD", "the `asset` to sell for")
	flags.StringVar(&s.code, "code", "", "activation `code`, for the first start; it can be typed, too")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	s.plaintext = !secure
	if s.plaintext && !isLoopback(s.address) {
		return s, fmt.Errorf("%q isn't an address of this machine: add -tls, or others can read along; without it only one such as 127.0.0.1:8081 will do", s.address)
	}
	if s.printer == "" {
		s.printer = filepath.Join(s.folder, "receipts.txt")
	}
	return s, nil
}

// isLoopback says whether only this machine is reached at the address. A name other
// than localhost doesn't count: what it resolves to may change.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
