package doctor

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

var update = flag.Bool("update", false, "write catalogue.txt anew")

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
