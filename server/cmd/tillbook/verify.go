package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/ledger"
	"github.com/tillbook/tillbook/store/seal"
)

type verifyCmd struct {
	databaseFlags
	MaxProblems int    `name:"max-problems" default:"1000" help:"How many problems to name before giving up."`
	LogKey      string `name:"log-key" placeholder:"KEY" help:"Public key of the log in which the books are sealed, as /log-key shows it. Without it, the database's own word is taken for it, which proves less."`
	Checkpoint  string `name:"checkpoint" type:"existingfile" placeholder:"FILE" help:"A checkpoint that was kept outside: the log must begin with it."`
}

// Help is shown by --help.
func (verifyCmd) Help() string {
	return `It recomputes everything from the rows as they were at one moment: that each transaction balances, that each account equals its entries and that none of them is missing, that each asset sums to zero, that every hold, refund and limit's counter is accounted for, and that all of it is what was sealed in the log. It changes nothing, and payments go on meanwhile. If the private database is stopped, it is started for as long as this takes.

Exit codes: 0 the books are right; 1 they are wrong, and each problem is on a line of its own; 2 they couldn't be checked.

Examples:

    tillbook verify
    tillbook verify --database-url postgres://auditor@db.example.com/tillbook`
}

// exitUnverified says that the books couldn't be checked, as opposed to wrong.
const exitUnverified = 2

// Run verifies and prints what it found.
func (cmd verifyCmd) Run(c *call) error {
	start := time.Now()
	report, err := cmd.verify(c)
	if err != nil {
		return &exitError{exitUnverified, err}
	}
	for _, p := range report.Problems {
		fmt.Fprintf(c.stdout, "%s: %s: %s\n", p.Rule, p.Subject, p.Detail)
	}
	fmt.Fprintf(c.stdout, "Checked %d accounts, %d transactions and %d entries in %s.\n",
		report.Accounts, report.Transactions, report.Entries, time.Since(start).Round(time.Millisecond))
	if report.OK() {
		fmt.Fprintln(c.stdout, "The books are right.")
		return nil
	}
	if len(report.Problems) >= cmd.MaxProblems {
		return fmt.Errorf("the books are wrong: problems found: %d, and then it stopped looking", len(report.Problems))
	}
	return fmt.Errorf("the books are wrong: problems found: %d", len(report.Problems))
}

func (cmd verifyCmd) verify(c *call) (report ledger.Report, err error) {
	if cmd.MaxProblems < 1 {
		return report, errors.New("--max-problems must be at least 1")
	}
	db, err := cmd.openExisting(c)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, db.close()) }()

	s, err := store.Open(c.ctx, store.Config{URL: db.url, MaxConns: 2})
	if err != nil {
		return report, err
	}
	defer s.Close()

	checkpoint, err := cmd.checkpoint()
	if err != nil {
		return report, err
	}
	sealed := seal.Check(seal.CheckOptions{VerifierKey: cmd.LogKey, Checkpoint: checkpoint})
	bar := newProgress(c.stderr, "Verifying")
	defer bar.clear()
	return ledger.Verify(c.ctx, s.Pool, ledger.VerifyOptions{
		Progress: bar.set, MaxProblems: cmd.MaxProblems, Beside: []ledger.Check{sealed},
	})
}

func (cmd verifyCmd) checkpoint() (string, error) {
	if cmd.Checkpoint == "" {
		return "", nil
	}
	text, err := os.ReadFile(cmd.Checkpoint)
	if err != nil {
		return "", fmt.Errorf("read the checkpoint: %w", err)
	}
	return string(text), nil
}

// progress is a bar on a terminal, and nothing elsewhere.
type progress struct {
	bar *progressbar.ProgressBar
}

func newProgress(w io.Writer, what string) *progress {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return &progress{}
	}
	return &progress{progressbar.NewOptions64(-1,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionFullWidth(),
	)}
}

// A bar that can't be drawn is no reason to stop, so its errors go unheard.
func (p *progress) set(done, total int64) {
	if p.bar != nil {
		p.bar.ChangeMax64(total)
		_ = p.bar.Set64(done)
	}
}

func (p *progress) describe(what string) {
	if p.bar != nil {
		p.bar.Describe(what)
	}
}

func (p *progress) clear() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
