package hostile

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tillbook/tillbook/sdk"
)

// withstand is what replica.withstands is where nobody has money: somebody honest, whose
// session it is, looks at who they are and what they have, at all replicas.
func withstand(t testing.TB, name string, replicas []*replica, session *tillbook.Session, attack func() string) {
	t.Helper()
	var clients []*tillbook.Client
	for _, r := range replicas {
		client, err := tillbook.New("http://"+r.http, tillbook.WithSession(session), tillbook.WithTimeout(patience))
		must(t, err)
		t.Cleanup(client.Close)
		clients = append(clients, client)
	}
	f := figure{attack: name}
	calm := lookAround(t, clients, func() { time.Sleep(size(100*time.Millisecond, 3*time.Second)) })
	for _, r := range replicas {
		f.before = max(f.before, r.memory(t, "VmRSS"))
		r.forgetPeak(t)
	}
	beside := lookAround(t, clients, func() { f.did = attack() })
	for _, r := range replicas {
		f.peak = max(f.peak, r.memory(t, "VmHWM"))
		if !r.ready() {
			t.Error("a server isn't ready afterwards")
		}
	}
	if f.peak > ceiling {
		t.Errorf("a server had %d MiB", f.peak)
	}
	f.calm, f.beside, f.calls = p99(calm), p99(beside), len(beside)
	figures.add(t, f)
}

// lookAround looks for as long as something else takes, and returns how long the looks
// took.
func lookAround(t testing.TB, clients []*tillbook.Client, meanwhile func()) (took []time.Duration) {
	t.Helper()
	var stop atomic.Bool
	var honest sync.WaitGroup
	honest.Go(func() {
		for n := 0; !stop.Load() || len(took) == 0; n++ {
			client, start := clients[n%len(clients)], time.Now()
			_, err := client.Auth.Me(context.Background())
			if err == nil {
				_, err = client.Wallet.Balances(context.Background())
			}
			if err != nil {
				t.Errorf("an honest customer was refused: %v", err)
				return
			}
			took = append(took, time.Since(start))
		}
	})
	defer honest.Wait() // also where the attack ends the test
	defer stop.Store(true)
	meanwhile()
	return
}
