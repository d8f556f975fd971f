package main

import (
	"fmt"
	"os"
	"time"

	"github.com/tillbook/tillbook/server/bench"
)

type benchCmd struct {
	Accounts int           `name:"accounts" default:"100000" help:"Users, each with an account."`
	Callers  int           `name:"callers" default:"256" help:"Transfers under way at once."`
	Duration time.Duration `name:"duration" default:"5s" help:"How long each measurement takes."`
	Rounds   int           `name:"rounds" default:"3" help:"How often everything is measured."`
	Growth   int64         `name:"growth" default:"10000000" help:"Entries that the books grow to in the end; below 100,000 growth is left out."`
	Only     []string      `name:"only" placeholder:"NAME,..." enum:"pgbench,uniform,limits,hot,holds,refunds,connect,connect-hot,grpc,grpc-hot,bulk,bulk-hot,bulk-1000,pgbench-single,single,growth" help:"Measure only these: ${enum}. Ratios need pgbench."`
}

// Help is shown by --help.
func (benchCmd) Help() string {
	return `It starts a private PostgreSQL in a temporary folder, with fsync and synchronous_commit on, and measures in turn, round by round: pgbench's TPC-B-like transaction as the reference; the committer in process, with transfers between random accounts and all into one, with three limits on each, holds and refunds; transfers through RPC from a process of its own, by Connect and by native gRPC, and in bulk; and one caller, for latency. Then it fills a database up to --growth entries and measures there. It ends with a line of ratios to the reference. Nothing of it touches --data-dir.

Leave the machine alone meanwhile. With the defaults it takes about ten minutes and, for ten million entries, some 10 GB of the temporary folder; with --growth 0, five minutes.`
}

// Run measures and prints the report.
func (cmd benchCmd) Run(c *call) error {
	if cmd.Callers < 1 || cmd.Rounds < 1 || cmd.Duration < time.Second || cmd.Accounts <= cmd.Callers+1 {
		return fmt.Errorf("a benchmark needs at least one round, one caller, one second and %d accounts", cmd.Callers+2)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	bar := newProgress(c.stderr, "Measuring")
	defer bar.clear()
	return bench.Run(c.ctx, bench.Config{
		Accounts: cmd.Accounts, Callers: cmd.Callers, Duration: cmd.Duration, Rounds: cmd.Rounds,
		Growth: cmd.Growth, Only: cmd.Only,
		Executable: self,
		Out:        c.stdout,
		Progress: func(step string, done, total int) {
			bar.describe(step)
			bar.set(int64(done), int64(total))
		},
	})
}

// benchLoadCmd is the other process of a benchmark.
type benchLoadCmd struct{}

// Run carries out the order on standard input.
func (benchLoadCmd) Run(c *call) error { return bench.Load(c.ctx, os.Stdin, c.stdout) }
