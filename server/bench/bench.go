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
	// "growth" is all that is measured as the books grow.
	Only []string
	// Growth is to how many entries the books grow; nothing is measured of it if
	// it is below 100,000.
	Growth int64
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

// wants tells whether something is to be measured.
func (c *Config) wants(name string) bool { return len(c.Only) == 0 || slices.Contains(c.Only, name) }

// Run sets everything up, measures, verifies the books and writes the report.
func Run(ctx context.Context, cfg Config) error {
	cfg.setDefaults()
	cfg.Progress("starting PostgreSQL", 0, 1)
	db, err := startDatabase(ctx)
	if err != nil {
		return err
	}
	defer db.stop()
	results := make(map[string][]sample)
	books, err := measureBooks(ctx, cfg, db, results)
	if err != nil {
		return err
	}
	reports := []ledger.Report{books}
	if cfg.wants("growth") && cfg.Growth >= growthSizes[0].entries {
		grown, err := grow(ctx, cfg, db, results)
		if err != nil {
			return err
		}
		reports = append(reports, grown)
	}
	writeReport(cfg, results, reports)
	for _, r := range reports {
		if !r.OK() {
			return ErrBooksWrong
		}
	}
	return nil
}

// measureBooks makes all measurements that leave the books about as large as they
// are, and verifies them.
func measureBooks(ctx context.Context, cfg Config, db *database, results map[string][]sample) (ledger.Report, error) {
	cfg.Progress("opening and funding accounts", 0, 1)
	books, err := openBooks(ctx, db, cfg)
	if err != nil {
		return ledger.Report{}, err
	}
	defer books.close()
	var front *server
	if slices.ContainsFunc(throughServer, cfg.wants) {
		cfg.Progress("starting the server", 0, 1)
		if front, err = startServer(ctx, cfg, db, books); err != nil {
			return ledger.Report{}, err
		}
		defer front.stop()
	}
	if err := measure(ctx, cfg, measurements(cfg, db, books, front), results); err != nil {
		return ledger.Report{}, err
	}
	cfg.Progress("verifying the books", 0, 1)
	return ledger.Verify(ctx, db.owner, ledger.VerifyOptions{MaxProblems: 10})
}

// throughServer are the measurements that a server is started for.
var throughServer = []string{"connect", "connect-hot", "grpc", "grpc-hot", "bulk", "bulk-hot", "bulk-1000"}

func measurements(cfg Config, db *database, books *books, front *server) []measurement {
	type run = func(ctx context.Context) (sample, error)
	transfers := func(callers int, hot bool) run {
		return func(ctx context.Context) (sample, error) { return books.transfers(ctx, cfg, callers, hot) }
	}
	through := func(d door, hot bool) run {
		return func(ctx context.Context) (sample, error) { return front.transfers(ctx, cfg, d, hot) }
	}
	// Only a server seals.
	sealing := func(do run) run {
		if front == nil {
			return do
		}
		return func(ctx context.Context) (sample, error) { return db.whileSealing(ctx, do) }
	}
	bulk := func(items int, hot bool) run {
		return func(ctx context.Context) (sample, error) { return front.bulk(ctx, cfg, items, hot) }
	}
	reference := func(clients int) run {
		return func(ctx context.Context) (sample, error) { return db.pgbench(ctx, cfg, clients) }
	}
	all := []measurement{
		{"pgbench", reference(referenceClients)},
		{"uniform", sealing(transfers(cfg.Callers, false))},
		{"limits", func(ctx context.Context) (sample, error) { return books.limits(ctx, cfg) }},
		{"hot", transfers(cfg.Callers, true)},
		{"holds", func(ctx context.Context) (sample, error) { return books.holds(ctx, cfg) }},
		{"refunds", func(ctx context.Context) (sample, error) { return books.refunds(ctx, cfg) }},
		{"connect", through(doorConnect, false)},
		{"connect-hot", through(doorConnect, true)},
		{"grpc", sealing(through(doorGRPC, false))},
		{"grpc-hot", through(doorGRPC, true)},
		{"bulk", bulk(100, false)},
		{"bulk-hot", bulk(100, true)},
		{"bulk-1000", bulk(1000, false)},
		{"pgbench-single", reference(1)},
		{"single", transfers(1, false)},
	}
	return slices.DeleteFunc(all, func(m measurement) bool { return !cfg.wants(m.name) })
}

// measure runs all measurements in turn, round by round.
func measure(ctx context.Context, cfg Config, all []measurement, results map[string][]sample) error {
	for round := range cfg.Rounds {
		for i, m := range all {
			cfg.Progress(fmt.Sprintf("round %d: %s", round+1, m.name), round*len(all)+i, cfg.Rounds*len(all))
			s, err := m.run(ctx)
			if err != nil {
				return fmt.Errorf("measuring %s: %w", m.name, err)
			}
			results[m.name] = append(results[m.name], s)
		}
	}
	return nil
}
