package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestFailuresAreReadForWhatTheySay(t *testing.T) {
	pg := func(severity, unlocalized, code string) error {
		return fmt.Errorf("writing: %w", &pgconn.PgError{Severity: severity, SeverityUnlocalized: unlocalized, Code: code})
	}
	tests := []struct {
		name                string
		err                 error
		notCommitted, split bool
	}{
		{"a broken rule", pg("ERROR", "ERROR", "23514"), true, true},
		{"a broken rule, in German", pg("FEHLER", "ERROR", "23514"), true, true},
		{"a broken rule, from an old server", pg("ERROR", "", "23514"), true, true},
		{"a deadlock", pg("ERROR", "ERROR", "40P01"), true, false},
		{"a lock", pg("ERROR", "ERROR", "55P03"), true, false},
		{"a cancellation", pg("ERROR", "ERROR", "57014"), true, false},
		{"a server that became read-only", pg("ERROR", "ERROR", "25006"), true, false},
		{"a session that is ended", pg("FATAL", "FATAL", "57P01"), false, false},
		{"a session that was silent", pg("FATAL", "FATAL", "25P03"), false, false},
		{"a crash", pg("PANIC", "PANIC", "XX000"), false, false},
		{"a pooler that lost its server", pg("ERROR", "ERROR", "08P01"), false, false},
		{"an error of unknown effect", pg("ERROR", "ERROR", "40003"), false, false},
		{"a lost connection", fmt.Errorf("writing: %w", io.ErrUnexpectedEOF), false, false},
		{"a deadline", fmt.Errorf("writing: %w", context.DeadlineExceeded), false, false},
		{"a COMMIT that rolled back", fmt.Errorf("%w: COMMIT answered ROLLBACK", errNotCommitted), true, false},
		{"a COMMIT that is not replicated", errNotReplicated, false, false},
		{"a login that is refused", fmt.Errorf("%w: %w", errNotConnected, pg("FATAL", "FATAL", "28P01")), false, false},
		{"something else", errors.New("something else"), false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := definitelyNotCommitted(test.err); got != test.notCommitted {
				t.Errorf("definitelyNotCommitted is %t", got)
			}
			if got := wantsSplit(test.err); got != test.split {
				t.Errorf("wantsSplit is %t", got)
			}
		})
	}
}
