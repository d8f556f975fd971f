package terminal_test

import (
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/server"
)

// However many heartbeats there are, they are written together, every so often.
func TestHeartbeatsAreWrittenTogether(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.exec(t, `CREATE SEQUENCE writes`)
	w.exec(t, `CREATE FUNCTION count_write() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
		AS $$ BEGIN PERFORM nextval('public.writes'); RETURN NULL; END $$`)
	w.exec(t, `CREATE TRIGGER count_writes AFTER INSERT ON terminal_presence FOR EACH STATEMENT EXECUTE FUNCTION count_write()`)
	const flush = 500 * time.Millisecond
	r := w.replica(t, func(c *server.Config) { c.Terminal.Flush = flush })
	s := w.shop(t, r)
	begin := time.Now()
	const terminals, beats = 8, 50
	made := make([]*gadget, terminals)
	var beating sync.WaitGroup
	for i := range made {
		made[i] = s.gadget(t, r)
		l := made[i].session(t, r, 0, 0)
		beating.Go(func() {
			for n := range beats {
				l.sayBeat(&terminalv1.Health{BatteryPercent: uint32(n)})
				if _, err := l.read(); err != nil {
					t.Errorf("heartbeat %d: %v", n, err)
					return
				}
			}
		})
	}
	beating.Wait()
	for _, g := range made {
		eventually(t, "what it said last is known", func() bool {
			return s.terminal(t, r, g.terminal).GetHealth().GetBatteryPercent() == beats-1
		})
	}
	rounds := int64(time.Since(begin)/flush) + 2
	var writes int64
	must(t, w.owner.Pool.QueryRow(t.Context(), `SELECT last_value FROM writes`).Scan(&writes))
	if writes > rounds {
		t.Errorf("%d heartbeats were written by %d statements within %d rounds", terminals*beats, writes, rounds)
	}
}

// A device that takes its messages slowly is shown to the staff, until it has caught up.
func TestADeviceThatReadsSlowlyNeedsAttention(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	r := w.replica(t, func(c *server.Config) { c.Terminal.Queue = 16 })
	s := w.shop(t, r)
	g := s.gadget(t, r)
	const window = 64 << 10
	conn, err := grpc.NewClient(r.GRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(window))
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	l := g.dial(t, conn, &terminalv1.SessionRequest_Hello{})
	_, err = l.read()
	must(t, err)
	becomes := func(state terminalv1.TerminalState, why terminalv1.TerminalAttention) {
		t.Helper()
		eventually(t, state.String()+" "+why.String(), func() bool {
			got := s.terminal(t, r, g.terminal)
			return got.GetState() == state && got.GetAttention() == why
		})
	}
	const available = terminalv1.TerminalState_TERMINAL_STATE_AVAILABLE
	becomes(available, terminalv1.TerminalAttention_TERMINAL_ATTENTION_UNSPECIFIED)
	// More than the connection holds; at once, so that the queue takes it all.
	const messages = 300
	w.exec(t, `INSERT INTO events (type, subject, payload)
		SELECT 'terminal.command', $1, jsonb_build_object('kind', 4, 'version', repeat('w', 4000)) FROM generate_series(1, $2::int)`,
		"terminal/"+g.terminal, messages)
	becomes(terminalv1.TerminalState_TERMINAL_STATE_NEEDS_ATTENTION, terminalv1.TerminalAttention_TERMINAL_ATTENTION_NOT_READING)
	var last uint64
	for range messages {
		last = l.event().GetSequence()
	}
	l.acknowledge(last)
	becomes(available, terminalv1.TerminalAttention_TERMINAL_ATTENTION_UNSPECIFIED)
}
