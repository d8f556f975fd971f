package store_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

func isDenied(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "42501"
}

func TestTheServingRoleCantRewriteTheBooks(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	statements := []string{
		"UPDATE accounts SET floor = NULL",
		"UPDATE accounts SET code = code",
		"UPDATE accounts SET asset_id = asset_id",
		"DELETE FROM accounts",
		"TRUNCATE accounts",
		"UPDATE events SET payload = '{}'",
		"ALTER TABLE accounts DROP CONSTRAINT accounts_floor",
		"ALTER TABLE transactions DISABLE TRIGGER ALL",
		"DROP TABLE transactions",
		"DROP VIEW account_entries",
		"CREATE INDEX ON transactions (kind)",
		"DELETE FROM goose_db_version",
		"UPDATE operator_keys SET revoke_time = NULL",
		"ALTER ROLE tillbook_app SUPERUSER",
		"SET session_replication_role = replica",
	}
	for _, table := range []string{"assets", "transactions", "more_entries", "events", "audit_records"} {
		statements = append(statements,
			"DELETE FROM "+table,
			"TRUNCATE "+table,
			"UPDATE "+table+" SET "+firstColumn(t, s, table)+" = DEFAULT")
	}
	for _, statement := range statements {
		if _, err := s.Pool.Exec(t.Context(), statement); !isDenied(err) {
			t.Errorf("%s: %v, want a denial", statement, err)
		}
	}
}

func firstColumn(t *testing.T, s *store.Store, table string) string {
	t.Helper()
	var column string
	err := s.Pool.QueryRow(t.Context(), `SELECT attname FROM pg_attribute
		WHERE attrelid = $1::text::regclass AND attnum = 1`, table).Scan(&column)
	if err != nil {
		t.Fatal(err)
	}
	return column
}

// The whole of what the serving role may do to the tables that hold the books.
// Whoever adds a right to one of them, or a table, changes this on purpose.
func TestTheServingRolesRightsOnTheBooksAreTheseAlone(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"accounts":         "INSERT SELECT UPDATE",
		"account_entries":  "SELECT",
		"assets":           "INSERT SELECT",
		"audit_records":    "INSERT SELECT",
		"events":           "INSERT SELECT",
		"goose_db_version": "SELECT",
		"log_batches":      "INSERT SELECT",
		"log_head":         "SELECT UPDATE",
		"log_keys":         "INSERT SELECT",
		"log_tiles":        "INSERT SELECT UPDATE",
		"more_entries":     "INSERT SELECT",
		"operator_keys":    "SELECT",
		"operators":        "SELECT",
		"transactions":     "INSERT SELECT",
	}
	s := storetest.New(t)
	got := rights(t, s)
	for table, want := range want {
		if got[table] != want {
			t.Errorf("%s: %q, want %q", table, got[table], want)
		}
	}
	for table, rights := range got {
		if strings.Contains(rights, "TRUNCATE") || strings.Contains(rights, "TRIGGER") || strings.Contains(rights, "REFERENCES") {
			t.Errorf("%s: %q is more than any serving needs", table, rights)
		}
	}
}

// rights returns, for every table and view, what the store's role may do to the
// whole of it or to some column.
func rights(t *testing.T, s *store.Store) map[string]string {
	t.Helper()
	rows, err := s.Pool.Query(t.Context(), `
		SELECT c.relname, p.name
		  FROM pg_class AS c, unnest(ARRAY['SELECT','INSERT','UPDATE','DELETE','TRUNCATE','REFERENCES','TRIGGER']) AS p (name)
		 WHERE c.relnamespace = 'public'::regnamespace
		   AND c.relkind IN ('r', 'v', 'm', 'p', 'f')
		   AND CASE WHEN p.name IN ('DELETE', 'TRUNCATE', 'TRIGGER') THEN has_table_privilege(c.oid, p.name)
		            ELSE has_any_column_privilege(c.oid, p.name) END`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	all := map[string][]string{}
	for rows.Next() {
		var table, right string
		if err := rows.Scan(&table, &right); err != nil {
			t.Fatal(err)
		}
		all[table] = append(all[table], right)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	sorted := map[string]string{}
	for table, rights := range all {
		slices.Sort(rights)
		sorted[table] = strings.Join(rights, " ")
	}
	return sorted
}

func TestTheServingRoleIsNoSuperuserAndOwnsNothing(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	var super, create, login bool
	var owned int
	err := s.Pool.QueryRow(t.Context(), `
		SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls, rolcanlogin,
		       has_schema_privilege('public', 'CREATE'),
		       (SELECT count(*) FROM pg_class WHERE relowner = r.oid)
		  FROM pg_roles AS r WHERE rolname = current_user`).Scan(&super, &login, &create, &owned)
	if err != nil {
		t.Fatal(err)
	}
	if super || login || create || owned > 0 {
		t.Errorf("superuser-like: %v, may log in: %v, may make tables: %v, owns %d", super, login, create, owned)
	}
}
