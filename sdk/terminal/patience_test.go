package terminal_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/sdk/terminal"
)

// door is a connection to a server that begins sessions in its own way.
type door struct {
	grpc.ClientConnInterface
	open func(context.Context) (grpc.ClientStream, error)
}

func (d door) NewStream(ctx context.Context, _ *grpc.StreamDesc, _ string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	return d.open(ctx)
}

// runFor runs a device against a door for so long. It must be called in a bubble.
func runFor(t *testing.T, d time.Duration, cfg terminal.Config) {
	t.Helper()
	folder := t.TempDir()
	var err error
	cfg.Keys = terminal.FileKeys(filepath.Join(folder, "key"))
	must(t, cfg.Keys.Bind("trm_00000000000000000000000000"))
	cfg.Journal, err = terminal.OpenJournal(filepath.Join(folder, "journal"))
	must(t, err)
	defer func() { _ = cfg.Journal.Close() }()
	pos, err := terminal.New(cfg)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := pos.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("it ended with %v", err)
	}
}

// pauses are how long a device that is never let in waits between its tries.
func pauses(t *testing.T, d, least, most time.Duration) (list []time.Duration) {
	t.Helper()
	var tries []time.Time
	closed := door{open: func(context.Context) (grpc.ClientStream, error) {
		tries = append(tries, time.Now())
		return nil, status.Error(codes.Unavailable, "closed")
	}}
	runFor(t, d, terminal.Config{Conn: closed, MinBackoff: least, MaxBackoff: most})
	for i := range tries[1:] {
		list = append(list, tries[i+1].Sub(tries[i]))
	}
	return list
}

// When a server goes, all of its devices are sent away at one moment. They come back at
// different ones, and less and less often as long as that fails.
func TestADeviceComesBackAfterARandomWaitThatGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const least, most = time.Second, 30 * time.Second
		first, second := pauses(t, time.Hour, least, most), pauses(t, time.Hour, least, most)
		bound, longest, same := least, time.Duration(0), 0
		for i, pause := range first {
			if pause > bound {
				t.Errorf("wait %d is %s, want at most %s", i, pause, bound)
			}
			bound = min(2*bound, most)
			longest = max(longest, pause)
			if i < len(second) && pause == second[i] {
				same++
			}
		}
		// An hour has some 240 waits of 15 s on average.
		if n := len(first); n < 120 || n > 480 || longest < most/2 || same > 0 {
			t.Errorf("%d waits, the longest %s; %d are the same for two devices", n, longest, same)
		}
	})
}

// mute is a session whose server says no more than a welcome, if that.
type mute struct {
	grpc.ClientStream
	ctx      context.Context
	welcomes bool
}

func (m *mute) SendMsg(any) error { return nil }

func (m *mute) RecvMsg(msg any) error {
	if m.welcomes {
		m.welcomes = false
		proto.Merge(msg.(proto.Message), &terminalv1.SessionResponse{Message: &terminalv1.SessionResponse_Welcome_{
			Welcome: &terminalv1.SessionResponse_Welcome{Epoch: 1, Configuration: &terminalv1.Configuration{HeartbeatIntervalSeconds: 30}},
		}})
		return nil
	}
	<-m.ctx.Done()
	return status.FromContextError(m.ctx.Err()).Err()
}

// A network that swallows everything leaves connections that look alive.
func TestADeviceGivesUpAServerThatSaysNothing(t *testing.T) {
	for name, of := range map[string]struct {
		welcomes bool
		why      string
		from, to time.Duration
	}{
		"never welcome": {false, "didn't welcome", 20 * time.Second, 21 * time.Second},
		"no heartbeats": {true, "doesn't answer heartbeats", 60 * time.Second, 121 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				var ended []time.Duration
				over := func(why error) {
					if len(ended) == 0 && (why == nil || !strings.Contains(why.Error(), of.why)) {
						t.Errorf("it ended because of %v", why)
					}
					ended = append(ended, time.Since(begin))
				}
				runFor(t, 10*time.Minute, terminal.Config{
					Conn: door{open: func(ctx context.Context) (grpc.ClientStream, error) {
						return &mute{ctx: ctx, welcomes: of.welcomes}, nil
					}},
					Handlers: terminal.Handlers{
						Failed: over,
						Online: func(online bool, why error) {
							if !online {
								over(why)
							}
						},
					},
				})
				if len(ended) < 2 || ended[0] < of.from || ended[0] > of.to {
					t.Errorf("sessions ended after %v, want the first between %s and %s", ended, of.from, of.to)
				}
			})
		})
	}
}
