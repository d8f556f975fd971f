package seal

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

// However many rows there are, only those that a range names are read: whoever reads
// all of them for every range takes four times as long for twice the books.
func TestRangesAreLookedUp(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Config{URL: storetest.NewDatabase(t)})
	_, err := s.Pool.Exec(t.Context(), `
INSERT INTO audit_records (id, create_time, actor_kind, action, subject)
SELECT ('018f0000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, now(), 'system', 'limit.set', 'limit/' || n
  FROM generate_series(1, 20000) n`)
	if err != nil {
		t.Fatal(err)
	}
	var in ranges
	for n := range 500 {
		which := plus(uuid.MustParse("018f0000-0000-7000-8000-000000000001"), int64(n))
		in.add(which, which)
	}
	for table, query := range map[string]string{"audit_records": selectRecords, "transactions": selectTransactions} {
		for _, analyzed := range []bool{false, true} {
			if analyzed {
				if _, err := s.Pool.Exec(t.Context(), "ANALYZE "+table); err != nil {
					t.Fatal(err)
				}
			}
			var plan []byte
			err := s.Pool.QueryRow(t.Context(), "EXPLAIN (FORMAT JSON) "+query, in.first, in.last, in.most).Scan(&plan)
			if err != nil {
				t.Fatal(err)
			}
			var nodes []map[string]any
			if err := json.Unmarshal(plan, &nodes); err != nil {
				t.Fatal(err)
			}
			if how := readingOf(nodes[0]["Plan"].(map[string]any), table); !slices.Equal(how, []string{"Index Scan((id >= w.first) AND (id <= w.last))"}) {
				t.Errorf("analyzed: %v: %s is read by %v:\n%s", analyzed, table, how, plan)
			}
		}
	}
}

// readingOf is by what sorts of scans a plan reads a table, and with what bounds.
func readingOf(node map[string]any, table string) (how []string) {
	if node["Relation Name"] == table {
		how = append(how, fmt.Sprint(node["Node Type"], node["Index Cond"]))
	}
	children, _ := node["Plans"].([]any)
	for _, child := range children {
		how = append(how, readingOf(child.(map[string]any), table)...)
	}
	return how
}
