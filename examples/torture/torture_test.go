package main

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/tillbook/tillbook/examples/torture/oracle"
	"github.com/tillbook/tillbook/examples/torture/record"
)

func TestScenariosAreChosenByName(t *testing.T) {
	for _, tt := range []struct {
		options options
		want    int
	}{
		{options{}, len(scenarios())},
		{options{short: true}, 5},
		{options{scenarios: " clock  disk-full "}, 2},
	} {
		if got, err := chosen(&tt.options); err != nil || len(got) != tt.want {
			t.Errorf("%+v: %d scenarios and %v, want %d", tt.options, len(got), err, tt.want)
		}
	}
	_, err := chosen(&options{scenarios: "flood"})
	if err == nil || !strings.Contains(err.Error(), "flood") || !strings.Contains(err.Error(), "primary-kill") {
		t.Errorf("got %v", err)
	}
}

func TestTheLastLineIsForMachines(t *testing.T) {
	rows := []row{
		{name: "fine", verdict: &oracle.Verdict{Operations: 10}},
		{name: "bad", verdict: &oracle.Verdict{Lost: 2, Doubled: 1}},
		{name: "broken", failure: errors.New("no room")},
	}
	var out strings.Builder
	for i := range rows {
		rows[i].print(&out)
	}
	if printSum(&out, rows) {
		t.Error("all is well")
	}
	if !strings.HasSuffix(out.String(), "\ntorture: scenarios=3 passed=1 lost=2 doubled=1\n") {
		t.Errorf("got %s", out.String())
	}
	if !printSum(io.Discard, rows[:1]) {
		t.Error("one that passed isn't well")
	}
}

func TestEveryKindOfOperationIsWaitedFor(t *testing.T) {
	const since, until = 5 * time.Second, 8 * time.Second
	var all []record.Operation
	for _, kind := range []record.Kind{record.Transfer, record.Sale, record.Payment, record.Read, record.SignIn} {
		all = append(all, record.Operation{Kind: kind, Call: since, Answer: record.Answer{Outcome: record.Done}})
	}
	if kind := missing(all, since, until); kind != "" {
		t.Errorf("all are there, and %s is missing", kind)
	}
	for i := range all {
		earlier, failed := slices.Clone(all), slices.Clone(all)
		earlier[i].Call--
		failed[i].Answer.Outcome = record.Open
		for what, less := range map[string][]record.Operation{"earlier": earlier, "not acknowledged": failed} {
			if kind := missing(less, since, until); kind != all[i].Kind {
				t.Errorf("a %s was %s, and %q is missing", all[i].Kind, what, kind)
			}
		}
		late, want := slices.Clone(all), all[i].Kind
		if late[i].Call = until + 1; want == record.SignIn {
			want = ""
		}
		if kind := missing(late, since, until); kind != want {
			t.Errorf("a %s was late, and %q is missing", all[i].Kind, kind)
		}
	}
}

// database answers everything with the message that a COMMIT is done.
func database(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() { // ends with the listener
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the connection
				defer conn.Close()
				for buffer := make([]byte, 100); ; {
					if _, err := conn.Read(buffer); err != nil {
						return
					}
					_, _ = conn.Write(append([]byte("C\x00\x00\x00\x0dINSERT 0 1\x00"), committed...))
				}
			}()
		}
	}()
	return listener.Addr().String()
}

// commitThrough says whether an answer comes back in time through a link that loses so
// many.
func commitThrough(t *testing.T, to, percent string, within time.Duration) (answered bool) {
	t.Helper()
	proxy := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "link", "127.0.0.1:0", to)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	defer proxy.Stop()
	_, err := proxy.Toxics.AddToxicJson(strings.NewReader(
		`{"type": "` + losesCommits + `", "stream": "downstream", "attributes": {"percent": ` + percent + `}}`))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := new(net.Dialer).DialContext(context.WithoutCancel(t.Context()), "tcp", proxy.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(within)) // it may be silent
	if _, err := conn.Write([]byte("COMMIT")); err != nil {
		t.Fatal(err)
	}
	n, _ := conn.Read(make([]byte, 100))
	return n > 0
}

func TestAnswersToCommitAreLostAndNothingElse(t *testing.T) {
	registerToxics()
	to := database(t)
	for range 8 { // with the connection or without a word
		if commitThrough(t, to, "100", 300*time.Millisecond) {
			t.Error("an answer came through")
		}
	}
	if !commitThrough(t, to, "0", 20*time.Second) {
		t.Error("an answer was lost")
	}
}
