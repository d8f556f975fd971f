package storetest

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Scan is how a plan reads a table.
type Scan struct {
	Table string
	Kind  string // such as "Index Scan"
	Bound string // of the index, or "" where all of the table is read
}

// Scans are how PostgreSQL would read tables for a statement, in the plan's order. It
// isn't executed.
func Scans(t testing.TB, q interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}, statement string, args ...any) (all []Scan) {
	t.Helper()
	var plan []byte
	if err := q.QueryRow(t.Context(), "EXPLAIN (FORMAT JSON) "+statement, args...).Scan(&plan); err != nil {
		t.Fatal(err)
	}
	var explained []struct{ Plan node }
	if err := json.Unmarshal(plan, &explained); err != nil {
		t.Fatal(err)
	}
	explained[0].Plan.scans(&all)
	return all
}

// node is a step of a plan.
type node struct {
	Kind    string `json:"Node Type"`
	Table   string `json:"Relation Name"`
	Bound   string `json:"Index Cond"`
	Recheck string `json:"Recheck Cond"` // the bound of the indexes below
	Plans   []node
}

func (n *node) scans(all *[]Scan) {
	if n.Table != "" {
		*all = append(*all, Scan{Table: n.Table, Kind: n.Kind, Bound: n.Bound + n.Recheck})
	}
	for i := range n.Plans {
		n.Plans[i].scans(all)
	}
}
