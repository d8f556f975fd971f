package main

import (
	"context"
	"io"
	"os"

	"github.com/alecthomas/kong"
)

// cli is the command line. Its order is that of --help: what a newcomer needs
// first comes first.
type cli struct {
	Serve       serveCmd       `cmd:"" help:"Run the server."`
	Demo        demoCmd        `cmd:"" help:"Play a story against a running sandbox: two people, a payment, and the books."`
	Verify      verifyCmd      `cmd:"" help:"Prove that the books balance, or show where they don't."`
	Migrate     migrateCmd     `cmd:"" help:"Bring the database to the schema that this version needs."`
	Operator    operatorCmd    `cmd:"" help:"Make and revoke the keys with which operators see the books."`
	Keys        keysCmd        `cmd:"" help:"List, rotate and retire the server's keys."`
	Doctor      doctorCmd      `cmd:"" help:"Look a deployment over and say what to do."`
	Bench       benchCmd       `cmd:"" help:"Measure it against PostgreSQL's own benchmark."`
	DatabaseURL databaseURLCmd `cmd:"" name:"database-url" help:"Print how to reach the private database, for psql."`
	Version     versionCmd     `cmd:"" help:"Print the version."`

	BenchLoad    benchLoadCmd    `cmd:"" name:"bench-load" hidden:"" help:"Make the load of a benchmark."`
	FindPostgres findPostgresCmd `cmd:"" name:"find-postgres" hidden:"" help:"Print the folder of PostgreSQL's programs, or how to install them."`
}

const description = `Tillbook moves money: wallets on a double-entry ledger, behind gRPC, Connect and JSON.

Every flag can be set by an environment variable too, --data-dir by TILLBOOK_DATA_DIR and so on; the flag wins. Exit codes: 0 done, 1 failed (from verify: the books are wrong), 2 not understood (from verify: not checked).`

// call is what a command runs with.
type call struct {
	ctx            context.Context // Ends at Ctrl-C.
	stdout, stderr io.Writer
}

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main with what it depends on passed in. It returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	exited := -1
	parser, err := newParser(new(cli),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exited = code }),
	)
	if err != nil {
		panic(err) // The tags above are wrong, whatever was typed.
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if exited >= 0 {
		return exited // It was --help.
	}
	if err != nil {
		return reportUsage(stderr, err)
	}
	ctx, stop := untilSignal(context.Background())
	defer stop()
	return report(ctx, stderr, command.Run(&call{ctx, stdout, stderr}))
}

func newParser(into *cli, options ...kong.Option) (*kong.Kong, error) {
	return kong.New(into, append(options,
		kong.Name("tillbook"),
		kong.Description(description),
		kong.DefaultEnvars("TILLBOOK"),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	)...)
}
