package ledger

import (
	"testing"
	"time"
)

// Where clocks are put forward at midnight, a day begins at another hour; where
// they are put back past it, it is midnight twice.
func TestADayIsTheTimeBetweenTwoBeginningsInEveryZone(t *testing.T) {
	for _, name := range []string{
		"UTC", "Asia/Tokyo", "Asia/Kolkata", "Europe/Berlin", "America/Santiago", "America/Havana", "Asia/Beirut",
		"Africa/Cairo", "Atlantic/Azores", "Australia/Lord_Howe", "Pacific/Chatham", "America/St_Johns",
	} {
		t.Run(name, func(t *testing.T) {
			zone, err := time.LoadLocation(name)
			if err != nil {
				t.Fatal(err)
			}
			zones := map[string]*time.Location{name: zone}
			for _, p := range []Period{PerDay, PerMonth} {
				w := window{Outgoing, p, name}
				for at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2027; at = at.Add(30 * time.Minute) {
					begin, next := w.begin(at, zones)
					if begin.After(at) || !next.After(at) || next.Sub(begin) > 31*25*time.Hour {
						t.Fatalf("%s of %s: from %s to %s", p, at.In(zone), begin, next)
					}
					y, m, d := at.In(zone).Date()
					by, bm, bd := begin.Date()
					if by != y || bm != m || p == PerDay && bd != d {
						t.Fatalf("%s of %s begins at %s", p, at.In(zone), begin)
					}
					if again, _ := w.begin(next, zones); !again.Equal(next) {
						t.Fatalf("the %s after that of %s begins at %s or %s", p, at.In(zone), next, again)
					}
					if last, _ := w.begin(next.Add(-1), zones); !last.Equal(begin) {
						t.Fatalf("%s of %s ends at %s", p, at.In(zone), next)
					}
				}
			}
		})
	}
}

func TestACounterLastsAsLongAsItsWindowWhateverRulesAreLeft(t *testing.T) {
	tokyo := rule(MeasureAmount, Outgoing, PerDay, 50)
	tokyo.Zone = "Asia/Tokyo"
	b := limitedBatch(t, tokyo)
	mustDecide(t, b, counted("pay", move(3, 4, 40)...))
	setRules(t, b, rule(MeasureAmount, Outgoing, PerMonth, 1000)) // that of Tokyo is gone
	mustDecide(t, b, counted("pay again", move(3, 4, 5)...))
	setRules(t, b, tokyo)
	if got := use(t, b, 3, Outgoing, PerDay); got != "45 in 2" {
		t.Errorf("counts %s", got)
	}
	if err := b.decide(counted("too much", move(3, 4, 6)...)).err; err == nil {
		t.Error("46 to 50 passed a limit of 50 with 45 used")
	}
}
