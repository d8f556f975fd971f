package merchant

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/server/rpc"
)

func mustZone(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := parseZone(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestSettlementsAreDueByTheWallClock(t *testing.T) {
	const local = "2006-01-02 15:04:05 -0700"
	for name, tt := range map[string]struct {
		zone        string
		interval    merchantv1.SettlementInterval
		minute, day int
		after, want string
	}{
		"later today":                     {"Asia/Jakarta", daily, 9 * 60, 0, "2026-03-01 08:59:59 +0700", "2026-03-01 09:00:00 +0700"},
		"never twice":                     {"Asia/Jakarta", daily, 9 * 60, 0, "2026-03-01 09:00:00 +0700", "2026-03-02 09:00:00 +0700"},
		"at midnight":                     {"Asia/Jakarta", daily, 0, 0, "2026-02-28 23:59:59 +0700", "2026-03-01 00:00:00 +0700"},
		"at the end of a year":            {"UTC", daily, 1439, 0, "2026-12-31 23:59:00 +0000", "2027-01-01 23:59:00 +0000"},
		"where it is tomorrow already":    {"Pacific/Kiritimati", daily, 60, 0, "2026-03-01 00:30:00 +0000", "2026-03-02 01:00:00 +1400"},
		"in a gap":                        {"Europe/Berlin", daily, 150, 0, "2026-03-29 00:00:00 +0100", "2026-03-29 03:00:00 +0200"},
		"in a gap, western":               {"America/New_York", daily, 150, 0, "2026-03-08 00:00:00 -0500", "2026-03-08 03:00:00 -0400"},
		"the day behind a gap":            {"Europe/Berlin", daily, 150, 0, "2026-03-29 03:00:00 +0200", "2026-03-30 02:30:00 +0200"},
		"at a midnight that is left out":  {"Africa/Cairo", daily, 0, 0, "2026-04-23 12:00:00 +0200", "2026-04-24 01:00:00 +0300"},
		"the first of two":                {"Europe/Berlin", daily, 150, 0, "2026-10-25 00:00:00 +0200", "2026-10-25 02:30:00 +0200"},
		"not the second of two":           {"Europe/Berlin", daily, 150, 0, "2026-10-25 02:30:00 +0200", "2026-10-26 02:30:00 +0100"},
		"the first of two, western":       {"America/New_York", daily, 90, 0, "2026-11-01 00:00:00 -0400", "2026-11-01 01:30:00 -0400"},
		"a gap of half an hour":           {"Australia/Lord_Howe", daily, 135, 0, "2026-10-04 00:00:00 +1030", "2026-10-04 02:30:00 +1100"},
		"on a day that was left out":      {"Pacific/Apia", daily, 9 * 60, 0, "2011-12-29 09:00:00 -1000", "2011-12-31 00:00:00 +1400"},
		"behind a day that was left out":  {"Pacific/Apia", daily, 9 * 60, 0, "2011-12-31 00:00:00 +1400", "2011-12-31 09:00:00 +1400"},
		"on Monday":                       {"Asia/Jakarta", weekly, 540, 1, "2026-03-01 10:00:00 +0700", "2026-03-02 09:00:00 +0700"},
		"on Sunday, today":                {"Asia/Jakarta", weekly, 540, 7, "2026-03-01 08:00:00 +0700", "2026-03-01 09:00:00 +0700"},
		"on Sunday, when it is just over": {"Asia/Jakarta", weekly, 540, 7, "2026-03-01 09:00:00 +0700", "2026-03-08 09:00:00 +0700"},
		"on a Sunday with a gap":          {"Europe/Berlin", weekly, 150, 7, "2026-03-23 00:00:00 +0100", "2026-03-29 03:00:00 +0200"},
	} {
		t.Run(name, func(t *testing.T) {
			after, err := time.Parse(local, tt.after)
			if err != nil {
				t.Fatal(err)
			}
			s := schedule{interval: tt.interval, minute: tt.minute, weekday: tt.day, zone: mustZone(t, tt.zone)}
			if got := s.next(after).In(s.zone).Format(local); got != tt.want {
				t.Errorf("after %s it is due at %s, want %s", tt.after, got, tt.want)
			}
		})
	}
	if due := (schedule{interval: atOnce, zone: time.UTC}).next(time.Now()); due != nil {
		t.Errorf("at once is due at %v", due)
	}
}

func TestSettlementsComeOnceADayInAnyZone(t *testing.T) {
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "Africa/Cairo", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu", "America/Santiago", "Antarctica/Troll"}
	rapid.Check(t, func(rt *rapid.T) {
		s := schedule{
			interval: daily, minute: rapid.IntRange(0, 1439).Draw(rt, "minute"),
			zone: mustZone(t, rapid.SampledFrom(zones).Draw(rt, "zone")),
		}
		begin := time.Unix(rapid.Int64Range(1_200_000_000, 2_000_000_000).Draw(rt, "after"), 0)
		due := *s.next(begin)
		if !due.After(begin) || due.Sub(begin) > 49*time.Hour {
			rt.Fatalf("after %v it is due at %v", begin, due)
		}
		// From any moment before it, it is due at the same time, and then a day later.
		between := begin.Add(time.Duration(rapid.Int64Range(0, int64(due.Sub(begin))-1).Draw(rt, "between")))
		if again := *s.next(between); !again.Equal(due) {
			rt.Fatalf("after %v it is due at %v, after %v at %v", begin, due, between, again)
		}
		later := *s.next(due)
		if gap := wall(later.In(s.zone)).Sub(wall(due.In(s.zone))); gap < 9*time.Hour || gap > 48*time.Hour {
			rt.Fatalf("it is due at %v and then at %v", due.In(s.zone), later.In(s.zone))
		}
	})
}

func TestASchedulesPartsMustGoTogether(t *testing.T) {
	for name, tt := range map[string]struct {
		in     *merchantv1.SettlementSchedule
		reason errorv1.ErrorReason
	}{
		"nothing":               {nil, 0},
		"at once":               {&merchantv1.SettlementSchedule{Interval: atOnce}, 0},
		"daily":                 {&merchantv1.SettlementSchedule{Interval: daily, MinuteOfDay: 1439}, 0},
		"weekly":                {&merchantv1.SettlementSchedule{Interval: weekly, Weekday: 7}, 0},
		"weekly without a day":  {&merchantv1.SettlementSchedule{Interval: weekly}, errorv1.ErrorReason_ERROR_REASON_SCHEDULE_INVALID},
		"daily with a day":      {&merchantv1.SettlementSchedule{Interval: daily, Weekday: 1}, errorv1.ErrorReason_ERROR_REASON_SCHEDULE_INVALID},
		"at once with a day":    {&merchantv1.SettlementSchedule{Weekday: 1}, errorv1.ErrorReason_ERROR_REASON_SCHEDULE_INVALID},
		"at once with a minute": {&merchantv1.SettlementSchedule{MinuteOfDay: 1}, errorv1.ErrorReason_ERROR_REASON_SCHEDULE_INVALID},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseSchedule(tt.in, time.UTC)
			if got := rpc.ReasonOf(err); got != tt.reason {
				t.Errorf("got %v, want %v", got, tt.reason)
			}
		})
	}
	for _, name := range []string{"Local", "Mars/Olympus", "../etc/passwd", "+07:00"} {
		if _, err := parseZone(name); rpc.ReasonOf(err) != errorv1.ErrorReason_ERROR_REASON_TIME_ZONE_INVALID {
			t.Errorf("zone %q: %v", name, err)
		}
	}
}
