package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

func TestADatabaseThatTakesNoWritesIsNotSaidToBeDown(t *testing.T) {
	t.Parallel()
	url := storetest.NewDatabase(t)
	owner := storetest.Open(t, store.Config{URL: url, Role: store.NoRole, MaxConns: 1})
	_, err := owner.Pool.Exec(t.Context(), "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$")
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := run([]string{"doctor", "--database-url", url}, &stdout, &stderr); code != exitSick || !strings.Contains(stderr.String(), "takes no writes, as a standby does") {
		t.Errorf("it exits with %d and says %s", code, stderr.String())
	}
}
