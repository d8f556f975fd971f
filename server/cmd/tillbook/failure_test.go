package main

import (
	"bytes"
	"net/url"
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
	if code := run([]string{"verify", "--database-url", url}, &stdout, &stderr); code != exitSick || !strings.Contains(stderr.String(), "takes no writes, as a standby does") {
		t.Errorf("it exits with %d and says %s", code, stderr.String())
	}
	// The doctor gets in, and says what it is.
	if code := run([]string{"doctor", "--database-url", url}, &stdout, &stderr); code != exitSick || !strings.Contains(stdout.String(), "Set default_transaction_read_only = off") {
		t.Errorf("the doctor exits with %d and says %s%s", code, stdout.String(), stderr.String())
	}
}

func TestADatabaseThatCantBeReachedTellsWhereToLook(t *testing.T) {
	t.Parallel()
	address := storetest.NewDatabase(t)
	for name, c := range map[string]struct {
		change func(*url.URL)
		told   string
	}{
		"a wrong password":               {func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), "wrong") }, "the file that PGPASSFILE names"},
		"TLS that the server lacks":      {func(u *url.URL) { u.RawQuery = "sslmode=require" }, "doesn't take TLS, which sslmode"},
		"a certificate that isn't there": {func(u *url.URL) { u.RawQuery = "sslmode=verify-full&sslrootcert=/nowhere/ca.pem" }, "the file /nowhere/ca.pem that --database-url names can't be read"},
		"a port where nothing is":        {func(u *url.URL) { u.Host = "127.0.0.1:1" }, "no PostgreSQL answers at 127.0.0.1:1"},
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		c.change(u)
		var stdout, stderr bytes.Buffer
		if code := run([]string{"doctor", "--database-url", u.String()}, &stdout, &stderr); code != exitSick || !strings.Contains(stderr.String(), c.told) {
			t.Errorf("%s: it exits with %d and says %s", name, code, stderr.String())
		}
	}
}
