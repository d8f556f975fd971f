package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tillbook/tillbook/store"
)

const (
	commit   = `COMMIT`
	rollback = `ROLLBACK`
)

const insertCommitted = `
INSERT INTO events (type, subject, payload, leaves) VALUES ('ledger.committed', '', $1, $2)`

const insertHeld = `
INSERT INTO events (type, subject, payload) VALUES ('ledger.held', '', $1)`

// committed is the payload of a ledger.committed event: the batch made the
// transactions with ids from First to Last, all of them and no others.
type committed struct {
	Replica uuid.UUID `json:"replica"`
	First   uuid.UUID `json:"first"`
	Last    uuid.UUID `json:"last"`
	Count   int       `json:"count"`
}

// held is the payload of a ledger.held event: what is held in these accounts
// changed.
type held struct {
	Replica uuid.UUID `json:"replica"`
	Codes   []string  `json:"codes"`
}

// statement is one of the second round trip.
type statement struct {
	sql  string
	args []any
}

// write is the second round trip: it writes what the batch made and commits.
// Once it has been called, an error from anything but PostgreSQL itself leaves
// the outcome unknown.
func (l *Ledger) write(ctx context.Context, conn *pgx.Conn, b *batch) error {
	statements, err := l.statements(ctx, b)
	if err != nil {
		return fmt.Errorf("%w: %w", errNotCommitted, err)
	}
	var trip pgx.Batch
	for _, s := range statements {
		trip.Queue(s.sql, s.args...)
	}
	trip.Queue(commit)

	delete(conn.PgConn().CustomData(), commitWarning)
	defer store.Committing(conn.PgConn())()
	results := conn.SendBatch(ctx, &trip)
	defer results.Close()
	for range statements {
		if _, err := results.Exec(); err != nil {
			return fmt.Errorf("writing a batch: %w", err)
		}
	}
	tag, err := results.Exec()
	return checkCommit(conn, tag, err)
}

// statements are what writes a batch, but for the COMMIT.
func (l *Ledger) statements(ctx context.Context, b *batch) ([]statement, error) {
	list := make([]statement, 0, 8)
	replica := *l.replica.Load()
	if len(b.made) > 0 {
		rows, err := l.newRows(ctx, b)
		if err != nil {
			return nil, err
		}
		list = append(list, statement{insertTransactions, rows.transactionArgs()})
		if rows.more.transaction.count > 0 {
			list = append(list, statement{insertMoreEntries, rows.more.args()})
		}
		list = append(list, statement{insertCommitted, []any{committed{
			Replica: replica, First: b.made[0].ID, Last: b.made[len(b.made)-1].ID, Count: len(b.made),
		}, rows.leaves}})
	}
	list = append(list, updateOf(b))
	list = append(list, holdStatements(b, replica)...)
	if len(b.refunds) > 0 {
		list = append(list, statement{insertRefunds, refundArgs(b.refunds)})
	}
	if len(b.metered) > 0 {
		list = append(list, statement{insertMetered, meteredArgs(b.metered, b.now)})
	}
	if len(b.resolutions) > 0 {
		list = append(list, statement{insertResolutions, resolutionArgs(b)})
	}
	if len(b.events) > 0 {
		list = append(list, statement{insertEvents, eventArgs(b.events)})
	}
	return append(list, auditStatements(b)...), nil
}

// confirm commits a batch that made nothing but locked accounts, which the log
// tells too: when it returns, all that was committed before is replicated.
func confirm(ctx context.Context, conn *pgx.Conn) error {
	delete(conn.PgConn().CustomData(), commitWarning)
	defer store.Committing(conn.PgConn())()
	tag, err := conn.Exec(ctx, commit)
	return checkCommit(conn, tag, err)
}

// checkCommit tells what the answer to a COMMIT says. An error behind the answer
// changes nothing: PostgreSQL may still notice a cancellation, or be gone.
func checkCommit(conn *pgx.Conn, tag pgconn.CommandTag, err error) error {
	switch {
	case conn.PgConn().CustomData()[commitWarning] != nil:
		return fmt.Errorf("committing a batch: %w", errNotReplicated)
	case tag.String() == commit:
		return nil
	case err != nil:
		return fmt.Errorf("committing a batch: %w", err)
	default:
		return fmt.Errorf("%w: COMMIT answered %s", errNotCommitted, tag)
	}
}

// Ways in which a batch fails that PostgreSQL doesn't call an error of its own.
var (
	errNotConnected  = errors.New("connecting")
	errNotCommitted  = errors.New("the transaction was rolled back")
	errNotReplicated = errors.New("the commit may not be replicated")
)

func optionalID(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}
