package ledger_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	"github.com/tillbook/tillbook/gen/tillbook/ledger/v1/ledgerv1connect"
	ledgerservice "github.com/tillbook/tillbook/server/ledger"
	"github.com/tillbook/tillbook/server/money/moneytest"
)

// blocked starts a verification that waits for a lock, and returns its answer
// and how to let go of the lock.
func blocked(ctx context.Context, t testing.TB, books *moneytest.Books, c ledgerv1connect.LedgerServiceClient) (answer <-chan error, unlock func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), books.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := c.Verify(ctx, &ledgerv1.VerifyRequest{})
		done <- err
	}()
	// Who waits for this lock shows that the verification has begun; who waits for another
	// may be another test's, whose tables have the same numbers.
	for waiting := false; !waiting; time.Sleep(time.Millisecond) {
		err := tx.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))`).Scan(&waiting)
		if err != nil {
			t.Fatal(err)
		}
	}
	return done, func() {
		if err := tx.Rollback(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

func TestOneVerificationRunsAtATime(t *testing.T) {
	books := moneytest.New(t)
	here, there := serve(t, books), serve(t, books)
	first, unlock := blocked(t.Context(), t, books, here.as(newOperator()))
	_, err := here.as(newOperator()).Verify(t.Context(), &ledgerv1.VerifyRequest{})
	if got := moneytest.WantRefusal(t, err, "RATE_LIMITED"); !got.Retry {
		t.Error("the client isn't told when to try again")
	}
	unlock()
	if err := <-first; err != nil {
		t.Errorf("the first one fails with %v", err)
	}
	for _, r := range []replica{here, there} {
		if _, err := r.as(newOperator()).Verify(t.Context(), &ledgerv1.VerifyRequest{}); err != nil {
			t.Errorf("a later one fails with %v", err)
		}
	}
}

func TestAVerificationEndsWithItsCaller(t *testing.T) {
	books := moneytest.New(t)
	c := serve(t, books).as(newOperator())
	ctx, cancel := context.WithCancel(t.Context())
	answer, unlock := blocked(ctx, t, books, c)
	defer unlock()
	cancel()
	moneytest.WantRefusal(t, <-answer, "CANCELED")
}

func TestAVerificationEndsWithItsService(t *testing.T) {
	books := moneytest.New(t)
	r := replica{books.Replica(t)}
	service := ledgerservice.New(ledgerservice.Deps{Store: r.Store, Ledger: r.Ledger})
	ledgerv1connect.RegisterLedgerServiceHandler(r.Server, service)
	answer, unlock := blocked(t.Context(), t, books, r.as(newOperator()))
	defer unlock()
	service.Close()
	moneytest.WantRefusal(t, <-answer, "UNAVAILABLE")
}
