package ledger

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a machine without time zones would commit nothing once a limit names one

	"github.com/google/uuid"
)

// ErrLimitExceeded says that a limit stands in the way; see LimitError.
var ErrLimitExceeded = errors.New("a limit is exceeded")

// Measure is what a rule bounds.
type Measure string

// What rules bound.
const (
	MeasureAmount  Measure = "amount"  // the sum of what moves
	MeasureCount   Measure = "count"   // how often something moves
	MeasureBalance Measure = "balance" // the balance that it leads to
)

// Direction says which way money moves, seen from the account.
type Direction string

// The directions.
const (
	Outgoing Direction = "outgoing"
	Incoming Direction = "incoming"
)

// Period is over how long a rule sums up.
type Period string

// The periods. Days and months are those of the calendar in the rule's zone.
const (
	PerTransaction Period = "transaction"
	PerDay         Period = "day"
	PerMonth       Period = "month"
	PerLifetime    Period = "lifetime"
)

// ScopeEveryone is the scope of rules for all users and merchants.
const ScopeEveryone = "everyone"

// MaxTier is the highest tier of an owner.
const MaxTier = 9

// TierScope is the scope of rules for owners of one tier.
func TierScope(tier int) string { return "tier/" + strconv.Itoa(tier) }

// Rule bounds what moves in the accounts that it applies to. Every account has
// counters of its own; all rules that apply have to be kept.
type Rule struct {
	ID uuid.UUID
	// Scope is ScopeEveryone, a TierScope, or an owner: the first two parts of an
	// account code, such as "user/usr_…". That may be a terminal, "terminal/trm_…",
	// for what is sold there.
	Scope     string
	Asset     AssetID
	Measure   Measure
	Direction Direction
	Period    Period
	Zone      string // an IANA time zone; "UTC" where no calendar matters
	Maximum   Amount // in the smallest unit, or a number of transactions
	// CreateTime is since when there is such a rule, UpdateTime since when its
	// maximum is what it is.
	CreateTime time.Time
	UpdateTime time.Time
}

// LimitError says which limit stands in the way. It is ErrLimitExceeded.
type LimitError struct {
	Rule    Rule
	Account AccountID
	Code    string // the account's code
	Used    Amount // of the rule's maximum, so far
	// Remaining is what is left of it, which was not enough.
	Remaining Amount
	// Resets is when counting begins anew; zero for never.
	Resets time.Time
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%v: %s %s of %s per %s", ErrLimitExceeded, e.Rule.Direction, e.Rule.Measure, e.Code, e.Rule.Period)
}

// Is makes a LimitError an ErrLimitExceeded.
func (e *LimitError) Is(target error) bool { return target == ErrLimitExceeded }

// window is over what a counter sums up.
type window struct {
	Direction Direction
	Period    Period
	Zone      string
}

// begin returns when the window began that a moment lies in, and when the next
// one does; zero for a lifetime.
func (w window) begin(at time.Time, zones map[string]*time.Location) (begin, next time.Time) {
	zone := zones[w.Zone]
	if zone == nil { // no rule needs it any more, but a counter does
		zone = time.UTC
		if known, err := time.LoadLocation(w.Zone); err == nil {
			zone = known
		}
	}
	year, month, day := at.In(zone).Date()
	switch w.Period {
	case PerDay:
		return midnight(year, month, day, zone), midnight(year, month, day+1, zone)
	case PerMonth:
		return midnight(year, month, 1, zone), midnight(year, month+1, 1, zone)
	default:
		return time.Time{}, time.Time{}
	}
}

// midnight returns when a day begins. Where clocks are put forward at midnight
// that is later than 0:00; where they are put back to it, it is the first 0:00.
func midnight(year int, month time.Month, day int, zone *time.Location) time.Time {
	t := time.Date(year, month, day, 0, 0, 0, 0, zone)
	if t.Hour() > 12 { // still the day before
		if _, end := t.ZoneBounds(); !end.IsZero() {
			return end
		}
	}
	return t
}

// window is the rule's; false if the rule looks at nothing but the transaction.
func (r *Rule) window() (window, bool) {
	return window{r.Direction, r.Period, r.Zone}, r.Period != PerTransaction
}

// rules are all rules at one time, ready for being looked up. They never change.
type rules struct {
	version int64
	all     []Rule
	byScope map[scope][]Rule
	meters  map[string][]meterAccount // by owner; see meter.go
	zones   map[string]*time.Location
}

// scope is where a rule is found.
type scope struct {
	asset AssetID
	name  string
}

// newRules fails if a rule's zone isn't known here.
func newRules(version int64, all []Rule) (*rules, error) {
	r := &rules{version: version, all: all, byScope: make(map[scope][]Rule), zones: make(map[string]*time.Location)}
	for _, rule := range all {
		key := scope{rule.Asset, rule.Scope}
		r.byScope[key] = append(r.byScope[key], rule)
		zone, err := time.LoadLocation(rule.Zone)
		if err != nil {
			return nil, fmt.Errorf("the time zone of limit %s: %w", rule.ID, err)
		}
		r.zones[rule.Zone] = zone
	}
	return r, nil
}

// limited tells whether rules can apply to an account that has entries: those of
// users and merchants. What stands for the world outside and for the system has
// none.
func limited(code string) bool {
	class, _, _ := strings.Cut(code, "/")
	return class == "user" || class == "merchant"
}

// of returns the rules that apply to an account, a slice for each scope.
func (r *rules) of(code string, asset AssetID, tier int16) [3][]Rule {
	switch {
	case r == nil || len(r.all) == 0 || tier < 0:
		return [3][]Rule{}
	case metered(code): // rules for everyone and for tiers are about people's money
		return [3][]Rule{r.byScope[scope{asset, ownerName(code)}]}
	case !limited(code):
		return [3][]Rule{}
	}
	return [3][]Rule{
		r.byScope[scope{asset, ScopeEveryone}],
		r.byScope[scope{asset, tierScopes[tier]}],
		r.byScope[scope{asset, ownerName(code)}],
	}
}

var tierScopes = func() (names [MaxTier + 1]string) {
	for i := range names {
		names[i] = TierScope(i)
	}
	return names
}()
