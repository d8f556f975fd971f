package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/tillbook/tillbook/store/ledger"
)

// Config says what to measure.
type Config struct {
	// Accounts is how many users with an account there are. Default 100,000.
	Accounts int
	// Callers is how many transfers are under way at once. Default 256.
	Callers int
	// Duration is how long each measurement takes. Default 5 s.
	Duration time.Duration
	// Rounds is how often everything is measured. Default 3.
	Rounds int
	// Only names the measurements to make; all if empty. Ratios need "pgbench".
	Only []string
	// Executable is the tillbook binary, which serves and which makes the load
	// (`serve` and `bench-load`).
	Executable string
	// Progress, if set, is told what is being done and how far along it is.
	Progress func(step string, done, total int)
	// Out gets the report.
	Out io.Writer
}

func (c *Config) setDefaults() {
	if c.Accounts <= 0 {
		c.Accounts = 100_000
	}
	if c.Callers <= 0 {
		c.Callers = 256
	}
	if c.Duration <= 0 {
		c.Duration = 5 * time.Second
	}
	if c.Rounds <= 0 {
		c.Rounds = 3
	}
	if c.Progress == nil {
		c.Progress = func(string, int, int) {}
	}
}

// ErrBooksWrong says that the books did not balance after the benchmark.
var ErrBooksWrong = errors.New("the books are not right after the benchmark")

// measurement is one thing to measure, once a round.
type measurement struct {
	name string
	run  func(ctx context.Context) (sample, error)
}

// Run sets everything up, measures, verifies the books and writes the report.
func Run(ctx context.Context, cfg Config) error {
	cfg.setDefaults()
	cfg.Progress("starting PostgreSQL", 0, 1)
	db, err := startDatabase(ctx)
	if err != nil {
		return err
	}
	defer db.stop()
	cfg.Progress("opening and funding accounts", 0, 1)
	books, err := openBooks(ctx, db, cfg)
	if err != nil {
		return err
	}
	defer books.close()
	cfg.Progress("starting the server", 0, 1)
	front, err := startServer(ctx, cfg, db, books)
	if err != nil {
		return err
	}
	defer front.stop()

	results, err := measure(ctx, cfg, measurements(cfg, db, books, front))
	if err != nil {
		return err
	}
	cfg.Progress("verifying the books", 0, 1)
	report, err := ledger.Verify(ctx, db.owner, ledger.VerifyOptions{MaxProblems: 10})
	if err != nil {
		return err
	}
	writeReport(cfg, results, report)
	if !report.OK() {
		return ErrBooksWrong
	}
	return nil
}

func measurements(cfg Config, db *database, books *books, front *server) []measurement {
	all := []measurement{
		{"pgbench", func(ctx context.Context) (sample, error) { return db.pgbench(ctx, cfg, 64) }},
		{"uniform", func(ctx context.Context) (sample, error) { return books.measure(ctx, cfg, cfg.Callers, false) }},
		{"hot", func(ctx context.Context) (sample, error) { return books.measure(ctx, cfg, cfg.Callers, true) }},
		{"connect", func(ctx context.Context) (sample, error) { return front.measure(ctx, cfg, doorConnect, false) }},
		{"connect-hot", func(ctx context.Context) (sample, error) { return front.measure(ctx, cfg, doorConnect, true) }},
		{"grpc", func(ctx context.Context) (sample, error) { return front.measure(ctx, cfg, doorGRPC, false) }},
		{"grpc-hot", func(ctx context.Context) (sample, error) { return front.measure(ctx, cfg, doorGRPC, true) }},
		{"pgbench-single", func(ctx context.Context) (sample, error) { return db.pgbench(ctx, cfg, 1) }},
		{"single", func(ctx context.Context) (sample, error) { return books.measure(ctx, cfg, 1, false) }},
	}
	if len(cfg.Only) == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(m measurement) bool { return !slices.Contains(cfg.Only, m.name) })
}

// measure runs all measurements in turn, round by round.
func measure(ctx context.Context, cfg Config, all []measurement) (map[string][]sample, error) {
	results := make(map[string][]sample)
	for round := range cfg.Rounds {
		for i, m := range all {
			cfg.Progress(fmt.Sprintf("round %d: %s", round+1, m.name), round*len(all)+i, cfg.Rounds*len(all))
			s, err := m.run(ctx)
			if err != nil {
				return nil, fmt.Errorf("measuring %s: %w", m.name, err)
			}
			results[m.name] = append(results[m.name], s)
		}
	}
	return results, nil
}
