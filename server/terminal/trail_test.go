package terminal_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// trail is what the audit trail says of a terminal, oldest first.
func (w *town) trail(t testing.TB, terminal string) string {
	t.Helper()
	rows, err := w.owner.Pool.Query(t.Context(), `
		SELECT actor_kind || ' ' || coalesce(actor_id::text, '-') || ' ' || replace(action, 'terminal.', '')
		  FROM audit_records WHERE subject = 'terminal/' || $1 ORDER BY id`, terminal)
	must(t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	return strings.Join(lines, "\n")
}

func TestWhoMaySellIsInTheAuditTrail(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	r := w.replica(t)
	s := w.shop(t, r)
	g := s.gadget(t, r)
	s.command(t, r, g.terminal, lock, "")
	s.command(t, r, g.terminal, unlock, "")
	s.command(t, r, g.terminal, reboot, "")
	s.reissue(t, r, g.terminal)
	s.revoke(t, r, g.terminal)
	s.revoke(t, r, g.terminal)
	manager := "user " + s.manager.id.String()
	want := strings.Join([]string{
		manager + " code_issued", "system - activated", manager + " locked", manager + " unlocked", manager + " code_issued", manager + " revoked",
	}, "\n")
	if got := w.trail(t, g.terminal); got != want {
		t.Errorf("the trail says\n%s\nwant\n%s", got, want)
	}
}
