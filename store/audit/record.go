package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/tillbook/tillbook/store/id"
)

// ActorKind says what kind of actor did something. It is stored.
type ActorKind string

// The kinds of actors.
const (
	Operator ActorKind = "operator"
	User     ActorKind = "user"
	System   ActorKind = "system" // the server itself, or its command line
)

// Actor is who did something.
type Actor struct {
	Kind ActorKind
	ID   uuid.UUID // zero for the system, or for who isn't known
}

// String writes the actor as "operator opr_…", or "system".
func (a Actor) String() string {
	switch {
	case a.ID == uuid.Nil:
		return string(a.Kind)
	case a.Kind == Operator:
		return string(a.Kind) + " " + id.Format(id.Operator, a.ID)
	default:
		return string(a.Kind) + " " + id.Format(id.User, a.ID)
	}
}

// Record is one thing that somebody did.
type Record struct {
	ID   uuid.UUID
	Time time.Time // to the microsecond
	Actor
	// Action is what was done, such as "limit.set".
	Action string
	// Subject is what it was done to, such as "user/usr_…"; may be empty.
	Subject string
	// Details is JSON that says more, or nil. It, ClientIP and RequestID can be
	// erased.
	Details   json.RawMessage
	ClientIP  string
	RequestID string

	// Salt hides what is committed to; Commitment is set once that was erased.
	Salt       uuid.UUID
	Commitment []byte
}

// New returns a record with a fresh id, of now. Details may be any value with a
// JSON form, or nil.
func New(actor Actor, action, subject string, details any) Record {
	r := Record{
		ID: id.New(), Time: time.Now().UTC().Truncate(time.Microsecond), Actor: actor,
		Action: action, Subject: subject, Salt: uuid.New(),
	}
	if details != nil {
		text, err := json.Marshal(details)
		if err != nil {
			panic(err) // callers give maps and structs of strings and numbers
		}
		r.Details = text
	}
	return r
}

// From returns a copy that says where the request came from and under which id
// the log of the server knows it.
func (r Record) From(clientIP, requestID string) Record {
	r.ClientIP, r.RequestID = clientIP, requestID
	return r
}

// Statement is a statement with its arguments.
type Statement struct {
	SQL  string
	Args []any
}

const insertRecords = `
INSERT INTO audit_records (id, create_time, actor_kind, actor_id, action, subject, details, client_ip, request_id, salt)
SELECT r.id, r.create_time, r.actor_kind, r.actor_id, r.action, r.subject, r.details::jsonb, r.client_ip, r.request_id, r.salt
  FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::uuid[])
    AS r (id, create_time, actor_kind, actor_id, action, subject, details, client_ip, request_id, salt)`

// Each record has an event of its own, by which the log finds it.
const (
	insertEvents = `
INSERT INTO events (type, subject, payload, leaves)
SELECT 'audit.recorded', e.subject, jsonb_build_object('id', e.id), e.leaf
  FROM unnest($1::uuid[], $2::text[], $3::bytea[]) WITH ORDINALITY AS e (id, subject, leaf, n) ORDER BY e.n`

	insertBoth = `WITH recorded AS (` + insertRecords + `)
INSERT INTO events (type, subject, payload, leaves)
SELECT 'audit.recorded', e.subject, jsonb_build_object('id', e.id), e.leaf
  FROM unnest($11::uuid[], $12::text[], $13::bytea[]) WITH ORDINALITY AS e (id, subject, leaf, n) ORDER BY e.n`
)

// Statements returns what writes records: first themselves, then their events.
// Details must be JSON that package canonical can read.
func Statements(records []Record) (rows, events Statement) {
	n := len(records)
	ids, salts := make([]uuid.UUID, n), make([]uuid.UUID, n)
	times := make([]time.Time, n)
	actors, details := make([]*uuid.UUID, n), make([]*string, n)
	kinds, actions, subjects := make([]string, n), make([]string, n), make([]string, n)
	ips, requests, leaves := make([]string, n), make([]string, n), make([][]byte, n)
	for i := range records {
		r := &records[i]
		ids[i], salts[i], times[i] = r.ID, r.Salt, r.Time
		kinds[i], actions[i], subjects[i] = string(r.Kind), r.Action, r.Subject
		ips[i], requests[i] = r.ClientIP, r.RequestID
		if r.Actor.ID != uuid.Nil {
			actors[i] = &r.Actor.ID
		}
		if len(r.Details) > 0 {
			text := string(r.Details)
			details[i] = &text
		}
		leaf, err := r.AppendLeaf(nil)
		if err != nil {
			continue // without a hash the log reads the row, and says what is wrong
		}
		hash := tlog.RecordHash(leaf)
		leaves[i] = hash[:]
	}
	return Statement{insertRecords, []any{ids, times, kinds, actors, actions, subjects, details, ips, requests, salts}},
		Statement{insertEvents, []any{ids, subjects, leaves}}
}

// Execer is where statements run: a transaction, or a pool.
type Execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// Insert writes records, in the caller's transaction if it has one. Without one
// they are written by a single statement all the same.
func Insert(ctx context.Context, db Execer, records ...Record) error {
	rows, events := Statements(records)
	if _, err := db.Exec(ctx, insertBoth, append(rows.Args, events.Args...)...); err != nil {
		return fmt.Errorf("recording %s: %w", records[0].Action, err)
	}
	return nil
}
