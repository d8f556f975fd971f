package ledger

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// errRefused says that a constraint stopped what the committer let through, which
// is a mistake in this package.
var errRefused = errors.New("the database refused a command")

// sqlState returns the SQLSTATE of an error from PostgreSQL, or "connection".
func sqlState(err error) string {
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg):
		return pg.Code
	case errors.Is(err, errNotReplicated):
		return "01000"
	default:
		return "connection"
	}
}

// definitelyNotCommitted tells whether a failed write surely left nothing
// behind: PostgreSQL refused a statement and lives on, or nothing was sent. A
// session that is being ended may have committed before, and what speaks of
// connections is not PostgreSQL but something in front of it.
func definitelyNotCommitted(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return severity(pg) == "ERROR" && !strings.HasPrefix(pg.Code, "08") && pg.Code != "40003"
	}
	return errors.Is(err, errNotCommitted) || pgconn.SafeToRetry(err)
}

// severity returns the severity in English, whatever the server speaks.
func severity(pg *pgconn.PgError) string {
	if pg.SeverityUnlocalized != "" {
		return pg.SeverityUnlocalized
	}
	return pg.Severity
}

// lockedElsewhere tells whether a lock could not be had in time.
func lockedElsewhere(err error) bool { return sqlState(err) == "55P03" }

// wantsSplit tells whether a failure may lie in one of the commands, so that
// its neighbours do better without it. Rows that moved, locks, deadlocks, lost connections and a
// server that starts, stops, is full or read-only are nobody's fault.
func wantsSplit(err error) bool {
	state := sqlState(err)
	if state == "connection" || errors.Is(err, errNotConnected) {
		return false
	}
	for _, class := range []string{"01", "08", "22012", "25", "40", "53", "55P03", "57", "58", "XX"} {
		if strings.HasPrefix(state, class) {
			return false
		}
	}
	return true
}
