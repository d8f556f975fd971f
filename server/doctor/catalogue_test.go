package doctor

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

var update = flag.Bool("update", false, "write catalogue.txt anew")

func TestEveryTableToWhichRowsAreOnlyAddedIsLookedAt(t *testing.T) {
	t.Parallel()
	v := &visit{Options: Options{Store: storetest.Open(t, store.Config{URL: storetest.NewDatabase(t), Role: store.NoRole, MaxConns: 1})}}
	type table struct{ Name string }
	made, err := list[table](t.Context(), v, `
		SELECT c.relname FROM pg_class c
		 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND has_table_privilege($1, c.oid, 'INSERT')
		   AND NOT has_any_column_privilege($1, c.oid, 'UPDATE') AND NOT has_table_privilege($1, c.oid, 'DELETE')`, store.AppRole)
	if err != nil || len(made) == 0 {
		t.Fatalf("%d tables: %v", len(made), err)
	}
	for _, table := range made {
		if !slices.Contains(onlyAdded, table.Name) {
			t.Errorf("nothing looks at rights on %s", table.Name)
		}
	}
}

func TestTheCatalogueIsWhatTheMigrationsMake(t *testing.T) {
	v := &visit{Options: Options{Store: storetest.Open(t, store.Config{URL: storetest.NewDatabase(t), Role: store.NoRole, MaxConns: 2})}}
	have, err := list[object](t.Context(), v, selectCatalogue)
	if err != nil {
		t.Fatal(err)
	}
	var fresh strings.Builder
	for _, o := range have {
		fresh.WriteString(o.String() + "\n")
	}
	if *update {
		if err := os.WriteFile("catalogue.txt", []byte(fresh.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if fresh.String() != catalogue {
		t.Error("catalogue.txt is stale: run go test ./server/doctor -run TestTheCatalogue -update")
	}
}

// What is advised for a unique constraint is done, whether its index went with it or
// was made again already.
func TestTheAdviceForAUniqueConstraintWorks(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Config{URL: storetest.NewDatabase(t), Role: store.NoRole, MaxConns: 1})
	exec := func(sql string) {
		t.Helper()
		if _, err := s.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	for _, c := range []struct{ name, before string }{
		{"a constraint without its index", "ALTER TABLE log_batches DROP CONSTRAINT log_batches_event"},
		{"a constraint of two columns", "ALTER TABLE transactions DROP CONSTRAINT transactions_a_entry"},
		{"an index in its place", `ALTER TABLE users DROP CONSTRAINT users_phone_number_key;
			CREATE UNIQUE INDEX users_phone_number_key ON users (phone_number)`},
		{"a primary key", "ALTER TABLE rate_limits DROP CONSTRAINT rate_limits_pkey"},
		{"a constraint and an index", "ALTER TABLE devices DROP CONSTRAINT devices_token_hash_key; DROP INDEX log_batches_ids"},
		{"one that is no index", "ALTER TABLE accounts DROP CONSTRAINT accounts_held"},
	} {
		exec(c.before)
		v := &visit{Options: Options{Store: s}}
		if err := v.schema(t.Context()); err != nil {
			t.Fatal(err)
		}
		done := 0
		for _, f := range v.findings {
			if _, sql, ok := strings.Cut(f.Advice, "Make it again: "); ok {
				for statement := range strings.SplitSeq(strings.TrimSuffix(sql, ";"), ";") {
					exec(statement)
					done++
				}
			}
		}
		v = &visit{Options: Options{Store: s}}
		if err := v.schema(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, well := find(v.findings, "", "are there"); !well || done == 0 {
			t.Errorf("%s, after %d statements: %+v", c.name, done, v.findings)
		}
	}
}
