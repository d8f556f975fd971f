package seal

import (
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
			var how []storetest.Scan
			for _, scan := range storetest.Scans(t, s.Pool, query, in.first, in.last, in.most) {
				if scan.Table == table {
					how = append(how, scan)
				}
			}
			if want := (storetest.Scan{Table: table, Kind: "Index Scan", Bound: "((id >= w.first) AND (id <= w.last))"}); len(how) != 1 || how[0] != want {
				t.Errorf("analyzed: %v: %s is read by %v", analyzed, table, how)
			}
		}
	}
}
