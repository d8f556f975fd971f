package hostile

import (
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store/id"
)

// counted are tables in which it is noted that somebody tried.
var counted = map[string]bool{"challenges": true, "auth_events": true, "audit_records": true, "rate_limits": true}

// settled waits until the server has done what it does by itself, some time after a
// checkout is paid.
func (w *world) settled(t testing.TB) {
	t.Helper()
	conn := w.connect(t)
	eventually(t, "what was paid has been seen to", func() (done bool) {
		must(t, conn.QueryRow(t.Context(), "SELECT NOT EXISTS (SELECT FROM checkouts WHERE due_time IS NOT NULL)").Scan(&done))
		return done
	})
}

// snapshot is a checksum of every row that names something of the prize, by table
// and thing.
func (w *world) snapshot(t testing.TB) map[string]string {
	t.Helper()
	conn := w.connect(t)
	rows, err := conn.Query(t.Context(), "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
	must(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	sums := map[string]string{}
	for prefix, text := range w.prize {
		thing, err := id.Parse(id.Prefix(prefix), text)
		must(t, err)
		for _, table := range tables {
			if counted[table] {
				continue
			}
			if sum := w.sum(t, conn, table, thing); sum != "" {
				sums[fmt.Sprintf("%s in %s", text, table)] = sum
			}
		}
	}
	if len(sums) < len(w.prize) {
		t.Errorf("only %d things were found in the database", len(sums))
	}
	return sums
}

func (w *world) sum(t testing.TB, conn *pgx.Conn, table string, thing uuid.UUID) string {
	t.Helper()
	var sum *string
	must(t, conn.QueryRow(t.Context(), fmt.Sprintf("SELECT md5(string_agg(r::text, '|' ORDER BY r::text)) FROM %s r WHERE r::text LIKE $1", pgx.Identifier{table}.Sanitize()),
		"%"+thing.String()+"%").Scan(&sum))
	if sum == nil {
		return ""
	}
	return *sum
}
