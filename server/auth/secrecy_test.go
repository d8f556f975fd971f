package auth_test

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/server/auth"
)

// dump returns all rows of all tables as text.
func (w *world) dump(t *testing.T) []byte {
	t.Helper()
	conn := w.owner(t)
	rows, err := conn.Query(t.Context(), "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	var dump []byte
	for _, table := range tables {
		name := pgx.Identifier{table}.Sanitize()
		dump = append(dump, query[string](t, conn, "SELECT coalesce(string_agg(t::text, E'\\n'), '') FROM "+name+" t")...)
	}
	return dump
}

func hexOf(b []byte) []byte { return []byte(hex.EncodeToString(b)) }

// TestLogsHoldNoSecretAndNoPersonalData goes through what is logged, failures
// included.
func TestLogsHoldNoSecretAndNoPersonalData(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	w.phones.fail = func(phone string) error {
		if phone == number(3) {
			return auth.ErrUndeliverable
		}
		return nil
	}
	ada := w.register(t, r, number(1), "ada.lovelace")
	next := ok[*authv1.Session](t)(refresh(t, r, ada.session.GetRefreshToken()))
	w.clock.Advance(time.Hour)
	_, err := refresh(t, r, ada.session.GetRefreshToken()) // logged: reused
	wants(t, err, "SESSION_REVOKED")
	ok[*authv1.RegisterResponse](t)(r.Register(t.Context(), &authv1.RegisterRequest{
		PhoneNumber: number(3), Username: "grace", Password: goodPassword, // logged: undeliverable
	}))
	r.settled(t)

	log := w.log.String()
	for _, line := range []string{"a refresh token came back", "a message could not be sent"} {
		if !strings.Contains(log, line) {
			t.Errorf("the log lacks %q", line)
		}
	}
	for what, text := range map[string]string{
		"a number": number(1)[1:], "another number": number(3)[1:], "a name": "lovelace", "a password": goodPassword,
		"an access token": next.GetAccessToken(), "a refresh token": next.GetRefreshToken(),
		"an old refresh token": ada.session.GetRefreshToken(), "a device token": ada.session.GetDeviceToken(),
	} {
		if strings.Contains(log, text) {
			t.Errorf("the log holds %s", what)
		}
	}
}

// TestTheServingRoleCantDoWhatItNeverDoes tries what an attacker who can inject
// SQL would.
func TestTheServingRoleCantDoWhatItNeverDoes(t *testing.T) {
	w := newWorld(t)
	r := w.replica(t)
	w.register(t, r, number(1), "ada")
	for _, sql := range []string{
		"UPDATE users SET phone_number = '+628123450002'",
		"UPDATE users SET username = 'eve'",
		"DELETE FROM users",
		"UPDATE sessions SET user_id = user_id",
		"UPDATE sessions SET expire_time = 'infinity'",
		"UPDATE devices SET token_hash = 'x'",
		"UPDATE refresh_tokens SET session_id = session_id",
		"UPDATE session_revocations SET session_id = session_id",
		"UPDATE challenges SET phone_number = '+628123450002'",
		"UPDATE challenges SET user_id = NULL",
		"UPDATE server_keys SET public_key = NULL",
		"UPDATE challenges SET tries = 6",
		"TRUNCATE users CASCADE",
	} {
		_, err := r.store.Pool.Exec(t.Context(), sql)
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != "42501" && pg.Code != "23514" {
			t.Errorf("%s: %v; want it refused", sql, err)
		}
	}
}
