package seal

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/tillbook/tillbook/store"
)

// Config tunes a Sealer. Signer or Signers is needed; everything else has a default.
type Config struct {
	// Signer signs checkpoints. Its name is the log's.
	Signer note.Signer
	// Signers, if it is set, says before each round who signs instead: all of them,
	// of one name, the oldest first.
	Signers func() []note.Signer
	// Interval is how often the sealer looks for commits. Default 100 ms.
	Interval time.Duration
	// MaxBatches is how many commits a round seals at the most. Default 500.
	MaxBatches int
	// Logger gets what an operator should know. Default: nothing is logged.
	Logger *slog.Logger
}

// Stats say where the log stands, as this replica last saw it.
type Stats struct {
	Size   int64         // leaves in the log
	Lag    time.Duration // the age of the oldest commit that isn't sealed
	Sealed int64         // leaves that this replica sealed
	Failed int64         // rounds that failed
}

// Sealer seals what commits. It is safe to have one on each replica.
type Sealer struct {
	pool  *pgxpool.Pool
	cfg   Config
	size  atomic.Int64
	lag   atomic.Int64
	count atomic.Int64
	fails atomic.Int64
}

// New returns a sealer on a database. It does nothing until Run.
func New(pool *pgxpool.Pool, cfg Config) *Sealer {
	if cfg.Interval <= 0 {
		cfg.Interval = 100 * time.Millisecond
	}
	if cfg.MaxBatches <= 0 {
		cfg.MaxBatches = 500
	}
	if cfg.Signers == nil {
		cfg.Signers = func() []note.Signer { return []note.Signer{cfg.Signer} }
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Sealer{pool: pool, cfg: cfg}
}

// Stats returns what the sealer has seen.
func (s *Sealer) Stats() Stats {
	return Stats{Size: s.size.Load(), Lag: time.Duration(s.lag.Load()), Sealed: s.count.Load(), Failed: s.fails.Load()}
}

// roundTimeout bounds a round, should its connection fall silent.
const roundTimeout = 30 * time.Second

// Run seals until ctx ends.
func (s *Sealer) Run(ctx context.Context) {
	failures := 0
	for {
		more, err := s.Round(ctx)
		pause := s.cfg.Interval/2 + rand.N(s.cfg.Interval)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			failures++
			s.fails.Add(1)
			s.cfg.Logger.WarnContext(ctx, "sealing failed; trying again", "error", err)
			pause += min(time.Duration(failures)*s.cfg.Interval, 5*time.Second)
		case more:
			failures, pause = 0, 0
		default:
			failures = 0
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// Round seals what can be sealed, up to a bound, and tells whether there is more.
// If another replica is sealing it does nothing.
func (s *Sealer) Round(ctx context.Context) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		// Unlike a row's lock this one writes nothing: rounds that find nothing to
		// seal use up no transaction number and wait for no disk.
		var mine bool
		if err := tx.QueryRow(ctx, beginRound, roundLock).Scan(&mine); err != nil || !mine {
			return err
		}
		// READ COMMITTED: what is read after the lock was won is as new.
		var h head
		err := tx.QueryRow(ctx, `SELECT size, cursor, checkpoint FROM log_head`).Scan(&h.size, &h.cursor, &h.checkpoint)
		if err != nil {
			return fmt.Errorf("reading the log's head: %w", err)
		}
		s.size.Store(h.size)
		batches, oldest, err := s.sealable(ctx, tx, h.cursor)
		if err != nil {
			return err
		}
		s.noteLag(oldest)
		if len(batches) == 0 {
			return nil
		}
		more = len(batches) == s.cfg.MaxBatches
		return s.seal(ctx, tx, h, batches)
	})
	return more, err
}

// inTx runs f in a transaction. One that may not be replicated is a failure: nothing
// may come of a checkpoint that a failover would take back.
func (s *Sealer) inTx(ctx context.Context, f func(pgx.Tx) error) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	return store.Replicated(conn.Conn(), func() error { return pgx.BeginFunc(ctx, conn, f) })
}

// beginRound also tells the planner to look things up by index, whatever it thinks of
// the tables' sizes: a round is about a few rows of tables that only grow.
const beginRound = `
SELECT pg_try_advisory_xact_lock($1)
  FROM (SELECT set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
               set_config('enable_seqscan', 'off', true) OFFSET 0) AS planner`

// roundLock is the advisory lock of the replica that seals.
const roundLock int64 = 0x7111B5EA1

// head is where the log stands.
type head struct {
	size, cursor int64
	checkpoint   string
}

func (s *Sealer) noteLag(oldest time.Time) {
	lag := time.Duration(0)
	if !oldest.IsZero() {
		lag = max(0, time.Since(oldest))
	}
	s.lag.Store(int64(lag))
}

// seal appends the leaves of batches and moves the head on.
func (s *Sealer) seal(ctx context.Context, tx pgx.Tx, h head, batches []batch) error {
	tree, err := s.signedEdge(ctx, tx, h)
	if err != nil {
		return err
	}
	var tiles tileRows
	tree.full = tiles.add
	var rows batchRows
	for i := range batches {
		hashes, err := batches[i].hashes(ctx, tx)
		if err != nil {
			return err
		}
		rows.add(tree.size, &batches[i])
		for _, h := range hashes {
			tree.append(h)
		}
	}
	tree.partial(tiles.add)
	root := tree.root()
	checkpoint, err := sign(tree.size, root, s.cfg.Signers())
	if err != nil {
		return err
	}
	var trip pgx.Batch
	trip.Queue(insertBatches, rows.first, rows.count, rows.kind, rows.event, rows.firstID, rows.lastID)
	trip.Queue(upsertTiles, tiles.level, tiles.index, tiles.hashes)
	trip.Queue(moveHead, tree.size, root[:], checkpoint, h.cursor)
	if err := tx.SendBatch(ctx, &trip).Close(); err != nil {
		return fmt.Errorf("writing the log: %w", err)
	}
	s.count.Add(tree.size - h.size)
	s.size.Store(tree.size)
	return nil
}

// errForked says that the stored tree isn't the one that was signed. It gets no
// further signature; Check says what is wrong.
var errForked = errors.New("the log is not the one that was signed")

// signedEdge loads the tree and proves that it is the one that was signed, with one
// of the keys at least: another replica may know of a new one, or an old one's end,
// before this one does. Signatures of Ed25519 are always the same for the same text.
func (s *Sealer) signedEdge(ctx context.Context, tx pgx.Tx, h head) (*edge, error) {
	tree, err := loadEdge(ctx, tx, h.size)
	if err != nil || h.size == 0 && h.checkpoint == "" {
		return tree, err
	}
	for _, signer := range s.cfg.Signers() {
		signed, err := sign(h.size, tree.root(), []note.Signer{signer})
		if err != nil {
			return nil, err
		}
		if bears(h.checkpoint, signed) {
			return tree, nil
		}
	}
	return nil, fmt.Errorf("%w: size %d, root %s", errForked, h.size, tree.root())
}

// bears says whether a checkpoint has the text of another and its signature.
func bears(checkpoint, signed string) bool {
	end := strings.Index(signed, "\n\n") + 2
	text, signature := signed[:end], signed[end:]
	signatures, same := strings.CutPrefix(checkpoint, text)
	return same && slices.Contains(slices.Collect(strings.Lines(signatures)), signature)
}

const (
	insertBatches = `
INSERT INTO log_batches (first_leaf, count, kind, event_id, first_id, last_id)
SELECT * FROM unnest($1::bigint[], $2::int[], $3::smallint[], $4::bigint[], $5::uuid[], $6::uuid[])`

	upsertTiles = `
INSERT INTO log_tiles (level, index, hashes)
SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::bytea[])
ON CONFLICT ON CONSTRAINT log_tiles_pkey DO UPDATE SET hashes = excluded.hashes`

	// The cursor moves to the first event that isn't sealed, but never past the
	// horizon: an event that can't be seen yet may be of a lower number.
	moveHead = `
UPDATE log_head
   SET size = $1, root = $2, checkpoint = $3, update_time = clock_timestamp(),
       cursor = least((SELECT e.xid FROM events e
                        WHERE e.xid >= $4 AND e.type IN ('ledger.committed', 'audit.recorded')
                          AND NOT EXISTS (SELECT FROM log_batches b WHERE b.event_id = e.id)
                        ORDER BY e.xid, e.id LIMIT 1),
                      pg_snapshot_xmin(pg_current_snapshot())::text::bigint)`
)

type tileRows struct {
	level  []int16
	index  []int64
	hashes [][]byte
}

func (r *tileRows) add(id tileID, hashes []tlog.Hash) {
	r.level, r.index, r.hashes = append(r.level, int16(id.level)), append(r.index, id.index), append(r.hashes, join(hashes))
}

type batchRows struct {
	first           []int64
	count           []int32
	kind            []int16
	event           []int64
	firstID, lastID []uuid.UUID
}

func (r *batchRows) add(first int64, b *batch) {
	r.first, r.count, r.kind = append(r.first, first), append(r.count, int32(b.count)), append(r.kind, b.kind)
	r.event = append(r.event, b.eventID)
	r.firstID, r.lastID = append(r.firstID, b.first), append(r.lastID, b.last)
}

// sign writes a checkpoint as C2SP tlog-checkpoint has it.
func sign(size int64, root tlog.Hash, signers []note.Signer) (string, error) {
	text := fmt.Sprintf("%s\n%d\n%s\n", signers[0].Name(), size, base64.StdEncoding.EncodeToString(root[:]))
	signed, err := note.Sign(&note.Note{Text: text}, signers...)
	if err != nil {
		return "", fmt.Errorf("signing a checkpoint: %w", err)
	}
	return string(signed), nil
}
