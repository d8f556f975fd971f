package seal

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// CheckOptions tunes Check. The zero value works.
type CheckOptions struct {
	// VerifierKey is the log's public key, or several, separated by spaces, of which
	// one must have signed. If it is empty, the database's own word is taken for it,
	// which proves less.
	VerifierKey string
	// Checkpoint is one that was kept outside: the log must begin with it.
	Checkpoint string
}

// Check proves, from the rows and within the transaction that it is given, that
// they are what was sealed:
//
//   - log_leaf: a row is not what was sealed, or is gone;
//   - log_unsealed: a row is there that no commit announced;
//   - log_tile: a hash of the tree doesn't follow from those below it;
//   - log_root: the head, or the signed checkpoint, is not that of the tree;
//   - log_gap: a commit was passed over;
//   - log_checkpoint: the log doesn't begin with the checkpoint that was given.
//
// What was committed a moment ago and isn't sealed yet is no problem.
func Check(o CheckOptions) ledger.Check {
	return func(ctx context.Context, tx pgx.Tx, problem func(ledger.Problem) bool) error {
		c := &checker{ctx: ctx, tx: tx, options: o, problem: problem}
		for _, step := range []func() error{c.leaves, c.head, c.announced, c.outside} {
			if err := step(); err != nil || c.full {
				return err
			}
		}
		return nil
	}
}

type checker struct {
	ctx     context.Context
	tx      pgx.Tx
	options CheckOptions
	problem func(ledger.Problem) bool
	full    bool // enough problems were found
	failed  error
	tree    edge
}

func (c *checker) report(rule, subject, format string, args ...any) {
	if !c.full {
		c.full = !c.problem(ledger.Problem{Rule: rule, Subject: subject, Detail: fmt.Sprintf(format, args...)})
	}
}

const (
	// chunkBatches is how many batches are listed at a time.
	chunkBatches = 500
	// chunkLeaves is about how many of their leaves are in memory.
	chunkLeaves = 10_000
)

// leaves rebuilds the tree from the rows, some batches at a time.
func (c *checker) leaves() error {
	c.tree.full = func(id tileID, hashes []tlog.Hash) { c.compare(id, hashes) }
	for !c.full {
		rows, err := c.tx.Query(c.ctx, `
SELECT first_leaf, count, kind, first_id, last_id FROM log_batches WHERE first_leaf >= $1 ORDER BY first_leaf LIMIT $2`, c.tree.size, chunkBatches)
		if err != nil {
			return fmt.Errorf("reading the log: %w", err)
		}
		list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[sealedBatch])
		if err != nil {
			return fmt.Errorf("reading the log: %w", err)
		}
		if len(list) == 0 {
			break
		}
		for len(list) > 0 && !c.full {
			n, leaves := 0, 0
			for n < len(list) && (n == 0 || leaves+list[n].Count <= chunkLeaves) {
				leaves += list[n].Count
				n++
			}
			if err := c.chunk(list[:n]); err != nil {
				return err
			}
			list = list[n:]
		}
	}
	c.tree.partial(func(id tileID, hashes []tlog.Hash) { c.compare(id, hashes) })
	return c.failed
}

// sealedBatch is a row of log_batches.
type sealedBatch struct {
	Leaf        int64
	Count       int
	Kind        int16
	First, Last uuid.UUID
}

// chunk checks the leaves of some batches.
func (c *checker) chunk(list []sealedBatch) error {
	var in [2]ranges
	next := c.tree.size
	for i := range list {
		s := &list[i]
		if s.Leaf != next {
			c.report("log_gap", "leaf "+strconv.FormatInt(next, 10), "is missing: what follows begins with leaf %d", s.Leaf)
			c.full = true
			return nil
		}
		if last := plus(s.First, int64(s.Count-1)); last != s.Last {
			// Ids of one commit are consecutive. Whatever else the range let in would
			// count as sealed.
			c.report("log_gap", fmt.Sprintf("leaf %d", next), "is the first of %d, up to %s and not to %s", s.Count, last, s.Last)
			s.Last = last
		}
		in[s.Kind-1].add(s.First, s.Last)
		next += int64(s.Count)
	}
	found := make(map[uuid.UUID]record)
	for i, kind := range []int16{kindTransaction, kindAudit} {
		rows, err := records(c.ctx, c.tx, kind, in[i])
		if err != nil {
			return err
		}
		for _, r := range rows {
			found[r.id] = r
		}
	}
	sealed, err := c.sealed(c.tree.size, int(next-c.tree.size))
	if err != nil {
		return err
	}
	for _, s := range list {
		c.batch(s, found, sealed[:s.Count])
		sealed = sealed[s.Count:]
	}
	return nil
}

// batch checks the leaves of one commit. The tree is built on with what was sealed,
// so that one wrong row isn't every tile's fault.
func (c *checker) batch(s sealedBatch, found map[uuid.UUID]record, sealed []tlog.Hash) {
	for i := range sealed {
		want := plus(s.First, int64(i))
		r, ok := found[want]
		switch {
		case !ok:
			c.report("log_leaf", subjectOf(s.Kind, want), "was sealed as leaf %d, but is gone", c.tree.size)
		case r.problem != nil:
			c.report("log_leaf", subjectOf(s.Kind, want), "is not what was sealed as leaf %d: %v", c.tree.size, r.problem)
		case tlog.RecordHash(r.leaf) != sealed[i]:
			c.report("log_leaf", subjectOf(s.Kind, want), "is not what was sealed as leaf %d", c.tree.size)
		}
		c.tree.append(sealed[i])
	}
}

// sealed returns the hashes of leaves as the tiles have them.
func (c *checker) sealed(first int64, n int) ([]tlog.Hash, error) {
	var ids []tileID
	for index := first / tileWidth; index <= (first+int64(n)-1)/tileWidth; index++ {
		ids = append(ids, tileID{0, index})
	}
	tiles, err := loadTiles(c.ctx, c.tx, ids)
	if err != nil {
		return nil, err
	}
	hashes := make([]tlog.Hash, n)
	for i := range hashes {
		leaf := first + int64(i)
		tile := tiles[tileID{0, leaf / tileWidth}]
		if int(leaf%tileWidth) >= len(tile) {
			c.report("log_tile", fmt.Sprintf("tile 0/%d", leaf/tileWidth), "lacks leaf %d", leaf)
			continue
		}
		hashes[i] = tile[leaf%tileWidth]
	}
	return hashes, nil
}

// compare compares a tile with what it should be. Leaves were compared before.
func (c *checker) compare(id tileID, hashes []tlog.Hash) {
	if id.level == 0 || c.full {
		return
	}
	tiles, err := loadTiles(c.ctx, c.tx, []tileID{id})
	if err != nil {
		c.failed = errors.Join(c.failed, err)
		return
	}
	stored := tiles[id]
	if len(stored) < len(hashes) || !bytes.Equal(join(stored[:len(hashes)]), join(hashes)) {
		c.report("log_tile", fmt.Sprintf("tile %d/%d", id.level, id.index), "doesn't follow from the tiles below it")
	}
}

func subjectOf(kind int16, which uuid.UUID) string {
	if kind == kindAudit {
		return "audit record " + id.Format(id.Audit, which)
	}
	return "transaction " + which.String()
}

// head compares the tree with the head and the head with the signature.
func (c *checker) head() error {
	var size int64
	var root []byte
	var checkpoint string
	err := c.tx.QueryRow(c.ctx, `SELECT size, root, checkpoint FROM log_head`).Scan(&size, &root, &checkpoint)
	if err != nil {
		return fmt.Errorf("reading the log's head: %w", err)
	}
	computed := c.tree.root()
	if size != c.tree.size || !bytes.Equal(root, computed[:]) {
		c.report("log_root", "the log's head", "says size %d and root %x, the rows make size %d and root %s", size, root, c.tree.size, computed)
	}
	if checkpoint == "" && size == 0 {
		return nil
	}
	verifiers, err := c.verifiers()
	if err != nil {
		return err
	}
	signedSize, signedRoot, err := openCheckpoint(checkpoint, verifiers)
	if err != nil {
		c.report("log_root", "the signed checkpoint", "%v", err)
	} else if signedSize != c.tree.size || signedRoot != computed {
		c.report("log_root", "the signed checkpoint", "is of size %d and root %s, the rows make size %d and root %s",
			signedSize, signedRoot, c.tree.size, computed)
	}
	return nil
}

// verifiers are the log's public keys: those that were given, or those in the
// database, also those that sign no more.
func (c *checker) verifiers() (all []note.Verifier, err error) {
	keys := strings.Fields(c.options.VerifierKey)
	if len(keys) == 0 {
		rows, err := c.tx.Query(c.ctx, `SELECT verifier FROM log_keys ORDER BY create_time, id`)
		if err != nil {
			return nil, fmt.Errorf("reading the log's keys: %w", err)
		}
		if keys, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			return nil, fmt.Errorf("reading the log's keys: %w", err)
		}
	}
	for _, key := range keys {
		v, err := note.NewVerifier(key)
		if err != nil {
			return nil, fmt.Errorf("the log's public key can't be read: %w", err)
		}
		all = append(all, v)
	}
	return all, nil
}

var errCheckpoint = errors.New("is not a checkpoint that this key signed")

// openCheckpoint reads a signed checkpoint.
func openCheckpoint(text string, verifiers []note.Verifier) (size int64, root tlog.Hash, err error) {
	opened, err := note.Open([]byte(text), note.VerifierList(verifiers...))
	if err != nil {
		return 0, root, errCheckpoint
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != opened.Sigs[0].Name {
		return 0, root, errCheckpoint
	}
	size, err = strconv.ParseInt(lines[1], 10, 64)
	raw, err2 := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || err2 != nil || size < 0 || copy(root[:], raw) != len(root) || len(raw) != len(root) {
		return 0, root, errCheckpoint
	}
	return size, root, nil
}

// outside compares the log with a checkpoint that somebody kept.
func (c *checker) outside() error {
	if c.options.Checkpoint == "" {
		return nil
	}
	verifiers, err := c.verifiers()
	if err != nil {
		return err
	}
	size, root, err := openCheckpoint(c.options.Checkpoint, verifiers)
	switch {
	case err != nil:
		c.report("log_checkpoint", "the checkpoint that was given", "%v", err)
	case size > c.tree.size:
		c.report("log_checkpoint", "the log", "had %d leaves when the checkpoint that was given was signed, and has %d", size, c.tree.size)
	default:
		then, err := tlog.TreeHash(size, reader(c.ctx, c.tx))
		if err != nil {
			return fmt.Errorf("reading the log as it was: %w", err)
		}
		if then != root {
			c.report("log_checkpoint", "the log", "doesn't begin with the %d leaves of the checkpoint that was given", size)
		}
	}
	return nil
}
