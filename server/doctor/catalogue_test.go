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
