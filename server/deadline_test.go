package server

import (
	"context"
	"net/url"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/jackc/pgx/v5"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/storetest"
)

// TestADeadlineReachesTheStatement that a call waits for: PostgreSQL doesn't go on with
// it once nobody wants its answer.
func TestADeadlineReachesTheStatement(t *testing.T) {
	t.Parallel()
	database := storetest.NewDatabase(t)
	patient, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	settings := patient.Query()
	settings.Set("lock_timeout", "10min") // or it would end the statement in the end
	patient.RawQuery = settings.Encode()
	r := startReplica(t, patient.String())
	h2 := h2cClient(t)
	ann := newStory(t, h2, "http://"+r.Addr()).register("+6281234567841", "ann")
	owner := storetest.Open(t, store.Config{URL: database, Role: store.NoRole})
	lock, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close(context.Background())
	if _, err := lock.Exec(t.Context(), `BEGIN; LOCK TABLE payment_requests IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	waiting := func(want int) func() bool {
		return func() bool {
			var n int
			err := owner.Pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks
				WHERE NOT granted AND relation = 'payment_requests'::regclass
				  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`).Scan(&n)
			return err == nil && n == want
		}
	}
	doors := map[string]*story{
		"main":   newStory(t, h2, "http://"+r.Addr()),
		"native": newStory(t, h2, "http://"+r.GRPCAddr(), connecthttp.WithGRPC()),
	}
	ended := make(chan struct{}, len(doors))
	for door, there := range doors {
		go func() {
			ctx, cancel := context.WithTimeout(there.as(ann.token), time.Second)
			defer cancel()
			_, err := there.wallet.GetPaymentRequest(ctx, &walletv1.GetPaymentRequestRequest{PaymentRequestId: id.Format(id.Request, id.New())})
			if connect.CodeOf(err) != connect.CodeDeadlineExceeded {
				t.Errorf("%s door: the call ended with %v", door, err)
			}
			ended <- struct{}{}
		}()
	}
	eventually(t, "the statements wait", waiting(len(doors)))
	for range doors {
		<-ended
	}
	eventually(t, "the statements are given up", waiting(0))
}
