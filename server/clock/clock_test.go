package clock_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tillbook/tillbook/server/clock"
	"github.com/tillbook/tillbook/store/storetest"
)

// off returns a clock that is wrong by so much.
func off(by time.Duration) func() time.Time {
	return func() time.Time { return time.Now().Add(by) }
}

func TestClocksThatAreWrongTellTheDatabasesTime(t *testing.T) {
	s := storetest.New(t)
	ask := s.Queries().GetClock
	for _, by := range []time.Duration{5 * time.Minute, -5 * time.Minute, 0} {
		c, err := clock.Open(t.Context(), clock.Config{Ask: ask, Machine: off(by)})
		if err != nil {
			t.Fatal(err)
		}
		database, err := ask(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		// The machine's own clock is the database's here.
		if got := c.Now().Sub(database).Abs(); got > time.Minute {
			t.Errorf("a clock that is off by %v tells a time that is off by %v", by, got)
		}
	}
}

// The database is asked by a round trip of which nobody knows when it looked.
func TestWhatTheRoundTripExplainsIsNotCorrected(t *testing.T) {
	for name, tt := range map[string]struct {
		by, takes time.Duration
		corrected bool
	}{
		"a little off":            {by: 100 * time.Millisecond},
		"off":                     {by: time.Minute, corrected: true},
		"off by less than a trip": {by: 1200 * time.Millisecond, takes: 2400 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ask := func(context.Context) (time.Time, error) {
					time.Sleep(tt.takes / 2)
					defer time.Sleep(tt.takes / 2)
					return time.Now().Add(tt.by), nil
				}
				c, err := clock.Open(t.Context(), clock.Config{Ask: ask})
				if err != nil {
					t.Fatal(err)
				}
				machine := time.Now() // a little before the other
				if got := c.Now().Sub(machine) > time.Second; got != tt.corrected {
					t.Errorf("corrected is %t", got)
				}
			})
		})
	}
}

func TestADatabaseThatCantBeAskedIsAnError(t *testing.T) {
	down := errors.New("down")
	_, err := clock.Open(t.Context(), clock.Config{Ask: func(context.Context) (time.Time, error) { return time.Time{}, down }})
	if !errors.Is(err, down) {
		t.Errorf("got %v", err)
	}
}
