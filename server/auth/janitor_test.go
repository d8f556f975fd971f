package auth_test

import (
	"fmt"
	"testing"
	"time"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/server/auth"
)

func TestWhatHasExpiredIsCleared(t *testing.T) {
	w := newWorld(t, func(c *auth.Config) { c.MaintainInterval = 20 * time.Millisecond })
	here := w.replica(t)
	w.replica(t) // two janitors get along
	ada := w.register(t, here, number(1), "ada")
	w.startRegistration(t, here, number(2), "bob")
	ok[*authv1.LogoutResponse](t)(here.Logout(as(t.Context(), ada.session.GetAccessToken()), &authv1.LogoutRequest{}))
	owner := w.owner(t)
	// More than a batch of each.
	for _, sql := range []string{
		`INSERT INTO challenges (id, purpose, phone_number, code_hash, create_time, resend_time, expire_time)
		 SELECT gen_random_uuid(), 'register', '+628123450003', '', now(), now(), $1::timestamptz FROM generate_series(1, 1200)`,
		`INSERT INTO session_revocations (xid, session_id, create_time)
		 SELECT n, gen_random_uuid(), $1 FROM generate_series(1, 1200) n`,
		`INSERT INTO rate_limits (key, tat) SELECT decode(md5(n::text), 'hex'), $1 FROM generate_series(1, 1200) n`,
	} {
		if _, err := owner.Exec(t.Context(), sql, w.clock.Now()); err != nil {
			t.Fatal(err)
		}
	}
	rows := func(table string) int { return query[int](t, owner, "SELECT count(*) FROM "+table) }
	want := func(after time.Duration, left map[string]int) {
		t.Helper()
		w.clock.Advance(after)
		for table, n := range left {
			eventually(t, fmt.Sprintf("%d rows in %s", n, table), func() bool { return rows(table) == n })
		}
	}
	want(2*time.Hour, map[string]int{"session_revocations": 0, "rate_limits": 0, "sessions": 1, "refresh_tokens": 1})
	want(30*time.Hour, map[string]int{"challenges": 0, "sessions": 0, "refresh_tokens": 0, "devices": 1})
	want(90*24*time.Hour, map[string]int{"devices": 0})
	if rows("users") != 1 {
		t.Error("the user was cleared too")
	}
}
