package store_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

// statements keeps what was last asked.
type statements struct {
	sql  string
	args []any
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.HasPrefix(data.SQL, "-- name: ListRefunds") {
		s.sql, s.args = data.SQL, data.Args
	}
	return ctx
}

func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// What a merchant gave back is looked up from the merchant's own entries, whatever
// PostgreSQL believes of how many there are: not by reading everybody's.
func TestRefundsAreLookedUpAmongTheMerchantsEntries(t *testing.T) {
	t.Parallel()
	var asked statements
	s := storetest.Open(t, store.Config{URL: storetest.NewDatabase(t), Tracer: &asked})
	_, err := s.Queries().ListRefunds(t.Context(), store.ListRefundsParams{
		Prefixes: []string{"merchant/mer_1/", "receivable/merchant/mer_1/"}, StartTime: time.Now().Add(-time.Hour), EndTime: time.Now(),
		AfterID: uuid.Nil, MaxRows: 500,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
		err := pgx.BeginFunc(t.Context(), s.Pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(t.Context(), "SET LOCAL plan_cache_mode = "+mode); err != nil {
				return err
			}
			for _, scan := range storetest.Scans(t, tx, asked.sql, asked.args...) {
				if (scan.Table == "transactions" || scan.Table == "refunds") && scan.Bound == "" {
					t.Errorf("%s: all %s are read: %+v", mode, scan.Table, scan)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
