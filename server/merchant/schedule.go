package merchant

import (
	"time"
	_ "time/tzdata" // time zones, wherever the server runs

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
)

const (
	atOnce = merchantv1.SettlementInterval_SETTLEMENT_INTERVAL_AT_ONCE
	daily  = merchantv1.SettlementInterval_SETTLEMENT_INTERVAL_DAILY
	weekly = merchantv1.SettlementInterval_SETTLEMENT_INTERVAL_WEEKLY
)

// schedule says when a merchant settles.
type schedule struct {
	interval merchantv1.SettlementInterval
	minute   int // of the day
	weekday  int // 1 Monday to 7 Sunday; 0 unless weekly
	zone     *time.Location
}

// parseZone finds a time zone, UTC if it has no name. "Local" would be the server's
// own. It fails with TIME_ZONE_INVALID.
func parseZone(name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, rpc.NewError(errorv1.ErrorReason_ERROR_REASON_TIME_ZONE_INVALID, "There is no such time zone.").
			WithField("time_zone", `must be an IANA time zone such as "Africa/Nairobi"`).WithCause(err)
	}
	return zone, nil
}

// parseSchedule reads a schedule; without one, or without an interval, it is at once.
// It fails with SCHEDULE_INVALID.
func parseSchedule(s *merchantv1.SettlementSchedule, zone *time.Location) (schedule, error) {
	parsed := schedule{interval: s.GetInterval(), minute: int(s.GetMinuteOfDay()), weekday: int(s.GetWeekday()), zone: zone}
	invalid := rpc.NewError(errorv1.ErrorReason_ERROR_REASON_SCHEDULE_INVALID, "The settlement schedule makes no sense.")
	switch {
	case parsed.interval == weekly && parsed.weekday == 0:
		return schedule{}, invalid.WithField("settlement_schedule.weekday", "must be 1 to 7 for a weekly settlement")
	case parsed.interval != weekly && parsed.weekday != 0:
		return schedule{}, invalid.WithField("settlement_schedule.weekday", "must be 0 unless the settlement is weekly")
	case parsed.interval == daily, parsed.interval == weekly:
		return parsed, nil
	case parsed.minute != 0:
		return schedule{}, invalid.WithField("settlement_schedule.minute_of_day", "must be 0 if the settlement is at once")
	default:
		parsed.interval = atOnce
		return parsed, nil
	}
}

// scheduleOf reads the schedule of a merchant that is due.
func scheduleOf(m *store.ListDueMerchantsRow) (schedule, error) {
	zone, err := time.LoadLocation(m.TimeZone)
	return schedule{
		interval: merchantv1.SettlementInterval(m.SettlementInterval),
		minute:   int(m.SettlementMinute), weekday: int(m.SettlementWeekday), zone: zone,
	}, err
}

// next returns the first time behind a moment at which to settle, or nil if it is at
// once.
func (s schedule) next(after time.Time) *time.Time {
	if s.interval == atOnce {
		return nil
	}
	// The day before may be due only today, where a whole day was left out.
	today := after.In(s.zone)
	for d := today.Day() - 1; ; d++ {
		day := civil{today.Year(), today.Month(), d}
		if s.interval == weekly && day.weekday() != s.weekday {
			continue
		}
		if due := day.at(s.minute, s.zone); due.After(after) {
			return &due
		}
	}
}

// civil is a day of the calendar; days beyond the month's are those of other months.
type civil struct {
	year  int
	month time.Month
	day   int
}

func (c civil) weekday() int {
	return (int(time.Date(c.year, c.month, c.day, 0, 0, 0, 0, time.UTC).Weekday())+6)%7 + 1
}

// at returns when a clock on the wall shows a minute of the day for the first time, or
// the first moment behind the gap if it never does.
func (c civil) at(minute int, zone *time.Location) time.Time {
	wanted := time.Date(c.year, c.month, c.day, 0, minute, 0, 0, time.UTC)
	t := time.Date(c.year, c.month, c.day, 0, minute, 0, 0, zone)
	begin, end := t.ZoneBounds()
	switch shown := wall(t); {
	case shown.After(wanted):
		return begin
	case shown.Before(wanted):
		return end
	}
	if !begin.IsZero() {
		_, before := begin.Add(-time.Nanosecond).Zone()
		_, now := t.Zone()
		if earlier := t.Add(-time.Duration(before-now) * time.Second); earlier.Before(begin) && before > now {
			return earlier
		}
	}
	return t
}

// wall is what a clock on the wall shows at a moment, as if it were in UTC.
func wall(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}
