package seal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/tillbook/tillbook/store/audit"
	"github.com/tillbook/tillbook/store/ledger"
)

// The kinds of leaves; they are stored.
const (
	kindTransaction int16 = 1
	kindAudit       int16 = 2
)

// record is a row that is a leaf, with its bytes as they follow from the row now.
type record struct {
	id   uuid.UUID
	leaf []byte
	// problem says why the row has no bytes.
	problem error
	opening *ledger.Opening
}

// ranges are ranges of ids, from each of first to that of last, which has at most so
// many.
type ranges struct {
	first, last []uuid.UUID
	most        []int64
}

func (r *ranges) add(first, last uuid.UUID) {
	r.first, r.last, r.most = append(r.first, first), append(r.last, last), append(r.most, max(0, minus(last, first)+1))
}

// records reads the rows of a kind whose ids lie in ranges, in the order of the ids.
func records(ctx context.Context, q querier, kind int16, in ranges) ([]record, error) {
	switch {
	case len(in.first) == 0:
		return nil, nil
	case kind == kindAudit:
		return auditRecords(ctx, q, in)
	default:
		return transactions(ctx, q, in)
	}
}

// PostgreSQL can't know how few rows such a range has. It would rather read the table
// for every range than look them up, if the bound didn't say so.
const (
	selectTransactions = `
SELECT t.id, t.key_hash, t.fingerprint, t.create_time, t.kind, coalesce(t.note, ''), t.details, t.salt, t.commitment,
       (t.note IS NOT NULL OR t.details IS NOT NULL), coalesce(a.code, ''), coalesce(s.code, ''), e.amount
  FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS w (first, last, most)
 CROSS JOIN LATERAL (SELECT * FROM transactions WHERE id BETWEEN w.first AND w.last ORDER BY id LIMIT w.most) t
 CROSS JOIN LATERAL (
       SELECT 0 AS position, t.a_account AS account_id, t.a_amount AS amount
       UNION ALL SELECT 1, t.b_account, t.b_amount
       UNION ALL SELECT m.position, m.account_id, m.amount FROM more_entries m WHERE t.more > 0 AND m.transaction_id = t.id
 ) e
  LEFT JOIN accounts a ON a.id = e.account_id
  LEFT JOIN assets s ON s.id = a.asset_id
 ORDER BY t.id, e.position`

	selectRecords = `
SELECT r.id, r.create_time, r.actor_kind, r.actor_id, r.action, r.subject, r.details, r.client_ip, r.request_id, r.salt, r.commitment
  FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS w (first, last, most)
 CROSS JOIN LATERAL (SELECT * FROM audit_records WHERE id BETWEEN w.first AND w.last ORDER BY id LIMIT w.most) r
 ORDER BY r.id`
)

var errNoSalt = errors.New("it has a text but no salt")

func transactions(ctx context.Context, q querier, in ranges) ([]record, error) {
	rows, err := q.Query(ctx, selectTransactions, in.first, in.last, in.most)
	if err != nil {
		return nil, fmt.Errorf("reading transactions: %w", err)
	}
	defer rows.Close()
	var list []record
	var leaf ledger.Leaf
	finish := func() {
		if leaf.ID != uuid.Nil {
			list[len(list)-1].leaf = leaf.Append(nil)
		}
	}
	for rows.Next() {
		var t ledger.Leaf
		var e ledger.LeafEntry
		var key uuid.UUID
		var fingerprint []byte
		var o ledger.Opening
		var salt *uuid.UUID
		var hasText bool
		err := rows.Scan(&t.ID, &key, &fingerprint, &t.Time, &t.Kind, &o.Note, &o.Details, &salt, &t.Commitment,
			&hasText, &e.Account, &e.Asset, &e.Amount)
		if err != nil {
			return nil, fmt.Errorf("reading transactions: %w", err)
		}
		if t.ID != leaf.ID {
			finish()
			r := record{id: t.ID}
			t.Key = ledger.Key(key)
			copy(t.Fingerprint[:], fingerprint)
			if hasText && t.Commitment == nil {
				o.Fingerprint = t.Fingerprint
				r.opening, r.problem = &o, errNoSalt
				if salt != nil {
					o.Salt = *salt
					t.Commitment, r.problem = o.Commit()
				}
			}
			list, leaf = append(list, r), t
		}
		leaf.Entries = append(leaf.Entries, e)
	}
	finish()
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading transactions: %w", err)
	}
	return list, nil
}

func auditRecords(ctx context.Context, q querier, in ranges) ([]record, error) {
	rows, err := q.Query(ctx, selectRecords, in.first, in.last, in.most)
	if err != nil {
		return nil, fmt.Errorf("reading audit records: %w", err)
	}
	defer rows.Close()
	var list []record
	for rows.Next() {
		var r audit.Record
		var actor, salt *uuid.UUID
		err := rows.Scan(&r.ID, &r.Time, &r.Kind, &actor, &r.Action, &r.Subject, &r.Details, &r.ClientIP, &r.RequestID, &salt, &r.Commitment)
		if err != nil {
			return nil, fmt.Errorf("reading audit records: %w", err)
		}
		if actor != nil {
			r.Actor.ID = *actor
		}
		if salt != nil {
			r.Salt = *salt
		}
		found := record{id: r.ID}
		found.leaf, found.problem = r.AppendLeaf(nil)
		list = append(list, found)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading audit records: %w", err)
	}
	return list, nil
}

// batch is what one event announces.
type batch struct {
	xid     int64 // the number of the transaction that committed it
	eventID int64
	kind    int16
	first   uuid.UUID
	last    uuid.UUID
	count   int
	time    time.Time
	leaves  []byte // their hashes; nil if the rows have to be read
}

// hashes returns the hashes of a batch's leaves.
func (b *batch) hashes(ctx context.Context, q querier) ([]tlog.Hash, error) {
	if len(b.leaves) == b.count*tlog.HashSize {
		return split(b.leaves), nil
	}
	var in ranges
	in.add(b.first, b.last)
	list, err := records(ctx, q, b.kind, in)
	if err != nil {
		return nil, err
	}
	if len(list) != b.count {
		return nil, fmt.Errorf("%w: event %d announces %d rows, there are %d", errUnsealable, b.eventID, b.count, len(list))
	}
	hashes := make([]tlog.Hash, len(list))
	for i := range list {
		if list[i].problem != nil {
			return nil, fmt.Errorf("%w: %s: %w", errUnsealable, list[i].id, list[i].problem)
		}
		hashes[i] = tlog.RecordHash(list[i].leaf)
	}
	return hashes, nil
}

// errUnsealable says that rows are not what their commit said. Sealing stops there;
// Check says what is wrong.
var errUnsealable = errors.New("rows can't be sealed")

// plus returns the id n places behind id: those of one commit are consecutive.
func plus(id uuid.UUID, n int64) uuid.UUID {
	binary.BigEndian.PutUint64(id[8:], binary.BigEndian.Uint64(id[8:])+uint64(n))
	return id
}

// minus returns how many places a lies behind b.
func minus(a, b uuid.UUID) int64 {
	return int64(binary.BigEndian.Uint64(a[8:]) - binary.BigEndian.Uint64(b[8:]))
}
