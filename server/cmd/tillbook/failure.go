package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strconv"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tillbook/tillbook/store"
)

// The exit codes. verify gives 1 and 2 a meaning of its own: the books are
// wrong, and they couldn't be checked.
const (
	exitDone          = 0
	exitFailed        = 1
	exitMisunderstood = 2
	exitInterrupted   = 130 // As shells have it for SIGINT.
)

// exitError gives an error the exit code that goes with it.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// report tells a person what went wrong and returns the exit code.
func report(ctx context.Context, stderr io.Writer, err error) int {
	if err == nil {
		return exitDone
	}
	if errors.Is(err, context.Canceled) && errors.Is(context.Cause(ctx), errInterrupted) {
		return exitInterrupted
	}
	code := exitFailed
	var exit *exitError
	if errors.As(err, &exit) {
		code = exit.code
	}
	fmt.Fprintln(stderr, "tillbook:", sentence(err))
	return code
}

// reportUsage does the same where the command line itself is wrong.
func reportUsage(stderr io.Writer, err error) int {
	command := "tillbook"
	var parse *kong.ParseError
	if errors.As(err, &parse) {
		if node := parse.Context.Selected(); node != nil {
			command = node.FullPath()
		}
	}
	fmt.Fprintf(stderr, "tillbook: %s\nRun \"%s --help\" for what there is.\n", err, command)
	return exitMisunderstood
}

// sentence is what the error means at the terminal and what to do about it.
// Errors of our own packages say so themselves; those of the operating system
// and of the database driver don't.
func sentence(err error) string {
	var connect *pgconn.ConnectError
	var parse *pgconn.ParseConfigError
	var file *fs.PathError
	var op *net.OpError
	switch {
	case errors.As(err, &connect):
		return unreachableDatabase(connect)
	case errors.As(err, &parse) && errors.As(parse, &file):
		return fmt.Sprintf("the file %s that --database-url names can't be read: %s", file.Path, file.Err)
	case errors.As(err, &parse):
		return "--database-url can't be read: write it as postgres://user:password@host:port/database"
	case errors.Is(err, syscall.EADDRINUSE) && errors.As(err, &op):
		return fmt.Sprintf("the address %s is taken by another program: stop that one, or choose another with --listen or --grpc-listen",
			op.Addr)
	case errors.Is(err, syscall.EACCES) && errors.As(err, &op) && op.Op == "listen":
		return fmt.Sprintf("this user may not listen on %s: choose a port above 1023 with --listen or --grpc-listen", op.Addr)
	case errors.Is(err, store.ErrOperatorExists):
		return "there is an operator of that name already: choose another with --name (`tillbook operator list` shows them all)"
	case errors.Is(err, store.ErrOperatorName):
		return store.ErrOperatorName.Error() + ": choose another with --name"
	case errors.Is(err, store.ErrOperatorNotFound):
		return "no operator of that name has a key: `tillbook operator list` shows who has"
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

func unreachableDatabase(err *pgconn.ConnectError) string {
	where := net.JoinHostPort(err.Config.Host, strconv.Itoa(int(err.Config.Port)))
	var server *pgconn.PgError
	var dns *net.DNSError
	var untrusted *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.Is(err, pgconn.ErrReadOnlyConnection), errors.Is(err, pgconn.ErrStandbyConnection):
		return fmt.Sprintf("PostgreSQL at %s takes no writes, as a standby does: name the primary in --database-url, or all nodes", where)
	case errors.As(err, &server):
		return fmt.Sprintf("PostgreSQL at %s refuses the connection (%s): check the user and database in --database-url, and the password there or in the file that PGPASSFILE names",
			where, server.Message)
	case errors.As(err, &dns):
		return fmt.Sprintf("there is no host %s: check --database-url", err.Config.Host)
	case strings.Contains(err.Error(), "server refused TLS"): // The driver has no error of its own for it.
		return fmt.Sprintf("PostgreSQL at %s doesn't take TLS, which sslmode in --database-url asks for: set ssl = on there", where)
	case errors.As(err, &untrusted), errors.As(err, &unknown):
		return fmt.Sprintf("the certificate of PostgreSQL at %s isn't trusted: name the authority's file with sslrootcert in --database-url, and the host as the certificate does", where)
	}
	return fmt.Sprintf("no PostgreSQL answers at %s: is it running, and is --database-url right?", where)
}
