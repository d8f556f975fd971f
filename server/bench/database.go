package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/embedded"
)

// database is the private PostgreSQL that everything is measured on: a database
// for pgbench and one for Tillbook, on one server.
type database struct {
	server    *embedded.Server
	owner     *pgxpool.Pool // Tillbook's database, as its owner
	url       string        // of Tillbook's database
	reference string        // of pgbench's database
	bin       string        // the folder of PostgreSQL's programs
	pid       int           // of the postmaster
}

// settings are those of a small server that keeps its promises: a commit is on
// the disk when it is acknowledged. No checkpoint falls into a measurement; there
// is one before the first.
var settings = map[string]string{
	"fsync":              "on",
	"synchronous_commit": "on",
	"full_page_writes":   "on",
	"shared_buffers":     "1GB",
	"max_wal_size":       "16GB",
	"checkpoint_timeout": "1h",
	"max_connections":    "200",
}

// pgbenchScale is the least at which 64 clients don't mostly wait for each other,
// as pgbench's manual says: one branch a client.
const pgbenchScale = 64

// referenceClients are those of the reference.
const referenceClients = 64

func startDatabase(ctx context.Context) (*database, error) {
	found, err := embedded.Find(ctx)
	if err != nil {
		return nil, err
	}
	server, err := embedded.StartTemporary(ctx, embedded.Options{Settings: settings})
	if err != nil {
		return nil, err
	}
	db := &database{server: server, bin: found.Bin}
	if err := db.prepare(ctx); err != nil {
		db.stop()
		return nil, err
	}
	return db, nil
}

func (db *database) prepare(ctx context.Context) (err error) {
	admin, err := pgx.Connect(ctx, db.server.URL())
	if err != nil {
		return fmt.Errorf("connecting to PostgreSQL: %w", err)
	}
	defer admin.Close(context.WithoutCancel(ctx))
	for _, name := range []string{"bench", "reference"} {
		if _, err := admin.Exec(ctx, "CREATE DATABASE "+name); err != nil {
			return fmt.Errorf("creating database %s: %w", name, err)
		}
	}
	if db.url, err = withDatabase(db.server.URL(), "bench"); err != nil {
		return err
	}
	if db.reference, err = withDatabase(db.server.URL(), "reference"); err != nil {
		return err
	}
	if db.pid, err = postmasterPID(ctx, admin); err != nil {
		return err
	}
	if _, _, err := store.Migrate(ctx, db.url); err != nil {
		return err
	}
	if db.owner, err = openOwner(ctx, db.url); err != nil {
		return err
	}
	_, err = db.command(ctx, "-i", "-q", "-s", strconv.Itoa(pgbenchScale))
	return err
}

// openOwner connects as the owner. What fills and checks the books sorts much.
func openOwner(ctx context.Context, url string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.ConnConfig.RuntimeParams["work_mem"] = "256MB"
	config.ConnConfig.RuntimeParams["maintenance_work_mem"] = "1GB"
	return pgxpool.NewWithConfig(ctx, config)
}

func postmasterPID(ctx context.Context, conn *pgx.Conn) (int, error) {
	var dir string
	if err := conn.QueryRow(ctx, "SHOW data_directory").Scan(&dir); err != nil {
		return 0, err
	}
	file, err := os.ReadFile(filepath.Join(dir, "postmaster.pid"))
	if err != nil {
		return 0, fmt.Errorf("finding PostgreSQL's process: %w", err)
	}
	first, _, _ := bytes.Cut(file, []byte("\n"))
	return strconv.Atoi(string(first))
}

func (db *database) stop() {
	if db.owner != nil {
		db.owner.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_ = db.server.Stop(ctx)
}

// command runs pgbench.
func (db *database) command(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(db.bin, "pgbench"), append(args, db.reference)...)
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("pgbench failed: %w: %s", err, bytes.TrimSpace(problem.Bytes()))
	}
	return out.String(), nil
}

var (
	pgbenchTPS     = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)
	pgbenchLatency = regexp.MustCompile(`(?m)^latency average = ([0-9.]+) ms`)
)

// pgbench measures the TPC-B-like transaction. Its latency is the average:
// without a log of every transaction pgbench tells no other.
func (db *database) pgbench(ctx context.Context, cfg Config, clients int) (sample, error) {
	before := treeTime(db.pid)
	out, err := db.command(ctx, "-n", "-c", strconv.Itoa(clients), "-j", strconv.Itoa(min(clients, 2)),
		"-T", strconv.Itoa(max(int(cfg.Duration.Seconds()), 1)))
	if err != nil {
		return sample{}, err
	}
	tps, latency := pgbenchTPS.FindStringSubmatch(out), pgbenchLatency.FindStringSubmatch(out)
	if tps == nil || latency == nil {
		return sample{}, errors.New("can't read what pgbench printed")
	}
	perSecond, _ := strconv.ParseFloat(tps[1], 64)
	average, _ := strconv.ParseFloat(latency[1], 64)
	took := time.Duration(average * float64(time.Millisecond))
	cpu := cpuSplit{PostgreSQL: treeTime(db.pid) - before}
	return sample{
		PerSecond: perSecond, P50: took, PerCommit: 1,
		CPU: cpu.per(perSecond * cfg.Duration.Seconds()),
	}, nil
}

// counters are PostgreSQL's own counts of what was written.
type counters struct {
	transactions, inserted, updated, hot, indexEntries, walBytes, commits int64
}

// read returns the counters of Tillbook's tables. Index entries are counted as
// PostgreSQL makes them: one an index for each inserted row, and for each
// updated one that found no room beside its old version.
func (db *database) read(ctx context.Context) (counters, error) {
	var c counters
	err := db.owner.QueryRow(ctx, `
WITH tables AS (
    SELECT s.*, (SELECT count(*) FROM pg_index i WHERE i.indrelid = s.relid) AS indexes
      FROM pg_stat_user_tables s
     WHERE s.relname IN ('transactions', 'more_entries', 'accounts', 'events')
)
SELECT sum(n_tup_ins) FILTER (WHERE relname = 'transactions')::bigint,
       sum(n_tup_ins)::bigint, sum(n_tup_upd)::bigint, sum(n_tup_hot_upd)::bigint,
       sum((n_tup_ins + n_tup_upd - n_tup_hot_upd) * indexes)::bigint,
       (pg_current_wal_lsn() - '0/0')::bigint,
       (SELECT count(*) FROM events WHERE type = 'ledger.committed')
  FROM tables`).Scan(&c.transactions, &c.inserted, &c.updated, &c.hot, &c.indexEntries, &c.walBytes, &c.commits)
	if err != nil {
		return counters{}, fmt.Errorf("reading PostgreSQL's counters: %w", err)
	}
	return c, nil
}

// cost returns what one of the transfers since before wrote, and how many
// transfers a commit carried. Sessions report their counts up to some seconds
// late, but all of them together: they are divided by the transactions that
// they report, not by those that were made.
func (c counters) cost(before counters, transfers float64) (rowCost, float64) {
	reported := float64(c.transactions - before.transactions)
	if reported == 0 || transfers == 0 {
		return rowCost{}, 0
	}
	cost := rowCost{
		Inserted:     float64(c.inserted-before.inserted) / reported,
		Updated:      float64(c.updated-before.updated) / reported,
		IndexEntries: float64(c.indexEntries-before.indexEntries) / reported,
		WALBytes:     float64(c.walBytes-before.walBytes) / transfers,
	}
	if updated := c.updated - before.updated; updated > 0 {
		cost.HotShare = float64(c.hot-before.hot) / float64(updated)
	}
	return cost, transfers / max(float64(c.commits-before.commits), 1)
}
