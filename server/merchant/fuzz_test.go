package merchant

import (
	"strings"
	"testing"
	"time"

	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
)

// A schedule that is taken is due again soon, in whatever zone that is taken, and comes to
// an end looking for when.
func FuzzSchedule(f *testing.F) {
	for _, zone := range []string{"", "UTC", "Local", "Asia/Jakarta", "Pacific/Apia", "Africa/Cairo", "America/New_York", "../../etc/passwd", "/etc/localtime", "Asia", "a\x00", "\\", "utc"} {
		for interval := range int32(4) {
			f.Add(zone, interval, uint32(1439), uint32(7), int64(1_760_000_000))
			f.Add(zone, interval, uint32(0), uint32(0), int64(1_325_150_000)) // Apia has no 30 December 2011
		}
	}
	f.Fuzz(func(t *testing.T, name string, interval int32, minute, weekday uint32, now int64) {
		zone, err := parseZone(name)
		if err != nil {
			return
		}
		if strings.Contains(name, "..") || strings.HasPrefix(name, "/") {
			t.Fatalf("%q is taken for a zone", name)
		}
		// What isn't so is refused before.
		s, err := parseSchedule(&merchantv1.SettlementSchedule{
			Interval: merchantv1.SettlementInterval(interval & 3), MinuteOfDay: minute % 1440, Weekday: weekday % 8,
		}, zone)
		if err != nil {
			return
		}
		after := time.Unix(now%(1<<33), 0)
		due := s.next(after)
		if due == nil {
			if s.interval != atOnce {
				t.Fatalf("%+v is never due", s)
			}
			return
		}
		if wait := due.Sub(after); wait <= 0 || wait > 9*24*time.Hour {
			t.Fatalf("%+v after %s is due %s", s, after, due)
		}
	})
}
