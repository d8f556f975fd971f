package terminal_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	"github.com/tillbook/tillbook/server"
)

// logged is what a server has logged.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) says(what string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), what)
}

func TestADeliveryThatCannotBeNotedAtOnceIsNotedLater(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	var log logged
	r := w.replica(t, func(c *server.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	s := w.shop(t, r)
	g := s.gadget(t, r)
	l := g.session(t, r, 0, 0)
	w.exec(t, `REVOKE UPDATE (dispatch_time, acknowledge_time, due_time) ON checkouts FROM tillbook_app`)
	sale := &merchantv1.CreateCheckoutResponse{}
	must(t, r.conn.Invoke(s.owner.context(t.Context()), merchantv1connect.MerchantServiceCreateCheckoutProcedure, &merchantv1.CreateCheckoutRequest{
		IdempotencyKey: uuid.NewString(), MerchantId: s.merchant, StoreId: s.store, TerminalId: g.terminal,
		Amount: &moneyv1.Money{Asset: "USD", Amount: "4.00"},
	}, sale))
	for {
		if e := l.event(); e.GetCheckoutOffered() != nil {
			l.acknowledge(e.GetSequence())
			break
		}
	}
	eventually(t, "a note fails", func() bool { return log.says("were taken can't be noted") })
	w.exec(t, `GRANT UPDATE (dispatch_time, acknowledge_time, due_time) ON checkouts TO tillbook_app`)
	eventually(t, "the delivery is noted", func() (noted bool) {
		must(t, w.owner.Pool.QueryRow(t.Context(), `SELECT acknowledge_time IS NOT NULL FROM checkouts`).Scan(&noted))
		return noted
	})
}
