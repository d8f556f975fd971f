package server

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2/connecthttp"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/storetest"
)

// TestCallsThatTakeAllConnectionsStopNothingElse has calls wait for a locked table with
// every connection that there is for calls. Holds expire, what commits is sealed, streams
// hear of what other replicas do, and the deployment is measured.
func TestCallsThatTakeAllConnectionsStopNothingElse(t *testing.T) {
	db := storetest.New(t)
	url := storetest.URL(db)
	other := startReplica(t, url)
	eventually(t, "the other measures the deployment", func() bool { return measures(t, other) })
	busy := startReplica(t, url, func(c *Config) { c.MaxConns = 3 })
	h2 := h2cClient(t)
	here := newStory(t, h2, "http://"+busy.Addr(), connecthttp.WithGRPC())
	there := newStory(t, &http.Client{}, "http://"+other.Addr())
	ann, bob := here.register("+6281234567811", "ann"), here.register("+6281234567812", "bob")
	here.fund(ann, "100")
	superuser := storetest.Open(t, store.Config{URL: url, Role: store.NoRole})
	_, key, err := superuser.CreateOperator(t.Context(), "olga")
	if err != nil {
		t.Fatal(err)
	}
	watch, err := here.wallet.WatchWallet(here.as(bob.token), &walletv1.WatchWalletRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Receive(); err != nil {
		t.Fatal(err)
	}

	// Neither payments nor jobs read this table.
	owner, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(context.Background())
	if _, err := owner.Exec(t.Context(), `BEGIN; LOCK TABLE payment_requests IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		slow := here.as(ann.token)
		go func() {
			_, _ = here.wallet.GetPaymentRequest(slow, &walletv1.GetPaymentRequestRequest{PaymentRequestId: id.Format(id.Request, id.New())})
		}()
	}
	eventually(t, "all connections for calls wait", func() bool {
		var n int
		err := superuser.Pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
			AND wait_event_type = 'Lock' AND query LIKE '%payment_request%'`).Scan(&n)
		return err == nil && n >= 3
	})

	// The hold is made at the other replica and expires at whichever looks first.
	_, err = there.ledger.CreateHold(there.as(key), &ledgerv1.CreateHoldRequest{
		IdempotencyKey: "h", Account: "user/" + ann.id + "/main/USD", Amount: usd("5"), Reference: "table 4",
		ExpireTime: timestamppb.New(time.Now().Add(2 * time.Second)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := there.pay(ann, bob, "1", "lunch"); err != nil {
		t.Fatal(err)
	}
	if err := other.stop(); err != nil { // the busy one is alone now
		t.Fatal(err)
	}
	eventually(t, "the hold expires", func() bool {
		var open int
		err := db.Pool.QueryRow(t.Context(), `SELECT count(*) FROM holds WHERE state = 1`).Scan(&open)
		return err == nil && open == 0
	})
	eventually(t, "all is sealed", func() bool {
		var left int
		err := db.Pool.QueryRow(t.Context(), `SELECT count(*) FROM events e WHERE e.type = 'ledger.committed'
			AND NOT EXISTS (SELECT FROM log_batches b WHERE b.event_id = e.id)`).Scan(&left)
		return err == nil && left == 0
	})
	if m, err := watch.Receive(); err != nil || m.GetChange().GetTransaction().GetAmount().GetAmount() != "1.00" {
		t.Errorf("the watch heard %v, %v", m, err)
	}
	if code, _ := get(t, "http://"+busy.Addr()+"/readyz"); code != http.StatusOK {
		t.Errorf("/readyz says %d", code)
	}
	eventually(t, "the deployment is measured again", func() bool { return measures(t, busy) })
	if _, err := owner.Exec(t.Context(), `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
}

// measures tells whether a replica is the one that measures the deployment.
func measures(t *testing.T, r *replica) bool {
	t.Helper()
	_, metrics := get(t, "http://"+r.Addr()+"/metrics")
	return strings.Contains(metrics, "\ndb_standbys ") || strings.Contains(metrics, "\ndb_standbys{")
}
