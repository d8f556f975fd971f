package store_test

import (
	"testing"
	"time"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

// The number of a transaction that was rolled back is given again to another one
// after a failover, if no standby heard of the first. Who had read past it would
// never be told of the second.
func TestNobodyReadsPastANumberThatAFailoverMayGiveAgain(t *testing.T) {
	s := storetest.New(t)
	ctx := t.Context()
	var told int64
	if err := s.Pool.QueryRow(ctx, `INSERT INTO events (type, subject, payload) VALUES ('test', 'merchant/m', '{}') RETURNING xid`).Scan(&told); err != nil {
		t.Fatal(err)
	}
	tx, err := s.Pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var rolledBack int64
	if err := tx.QueryRow(ctx, `SELECT pg_current_xact_id()::text::bigint`).Scan(&rolledBack); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}

	// The transactions of other databases of the server hold it up, too.
	var horizon int64
	for deadline := time.Now().Add(30 * time.Second); horizon <= told && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if horizon, err = s.Queries().GetHorizon(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if horizon <= told || horizon > rolledBack {
		t.Errorf("the horizon is %d, behind an event of %d and a transaction %d that was rolled back", horizon, told, rolledBack)
	}
	rows, err := s.Queries().FollowTerminals(ctx, store.FollowTerminalsParams{FromXid: 1, MaxRows: 1})
	if err != nil {
		t.Fatal(err)
	}
	if got := rows[0].Horizon; got != horizon {
		t.Errorf("terminals are told as far as %d, merchants as far as %d", got, horizon)
	}
}
