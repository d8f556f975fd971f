package ledger

import "time"

// charge is what a movement adds to an account's counters of one direction, or,
// if it is below zero, gives back to them.
type charge struct {
	direction Direction
	amount    Amount
	number    int64
	// before is what of the same transaction was counted already: limits per
	// transaction bound both together.
	before Amount
	// at is when the movement counted. Counters that began to count after it get
	// nothing back, since they never had it.
	at time.Time
}

// counter sums up what moved in one window. It counts whatever rules there are,
// as long as its window lasts.
type counter struct {
	window
	Since  time.Time // it counts what moved from then on, in the window that this lies in
	Amount Amount
	Number int64
}

// usage is an account's counters. Few rules make few windows: a list will do.
type usage []counter

// at returns the counter of a window as it is at a moment. One that never counted
// begins now: what moved before it isn't known to it.
func (u usage) at(w window, now time.Time, zones map[string]*time.Location) counter {
	for i := range u {
		if u[i].window != w {
			continue
		}
		if begin, _ := w.begin(now, zones); u[i].Since.Before(begin) {
			return counter{window: w, Since: begin.UTC()}
		}
		return u[i]
	}
	return counter{window: w, Since: now.UTC()}
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}

// with returns the counters after a charge. Windows that nobody asks for any
// more are dropped when they are over, or when their zone isn't known any more, so
// that nobody can tell.
func (u usage) with(c charge, wanted []window, now time.Time, zones map[string]*time.Location) (usage, error) {
	next := make(usage, 0, len(u)+len(wanted))
	for _, old := range u {
		if old.Direction != c.direction {
			next = append(next, old)
			continue
		}
		if old.Zone != zoneUTC && zones[old.Zone] == nil {
			continue
		}
		current := u.at(old.window, now, zones)
		if current.Since.After(old.Since) && !contains(wanted, old.window) {
			continue
		}
		next = append(next, current)
	}
	for _, w := range wanted {
		if !next.has(w) {
			next = append(next, u.at(w, now, zones))
		}
	}
	for i := range next {
		n := &next[i]
		if n.Direction != c.direction || c.at.Before(n.Since) {
			continue
		}
		var err error
		if n.Amount, err = n.Amount.Add(c.amount); err != nil {
			return nil, err
		}
		n.Number += c.number
	}
	return next, nil
}

func (u usage) has(w window) bool {
	for i := range u {
		if u[i].window == w {
			return true
		}
	}
	return false
}

func contains(list []window, w window) bool {
	for _, have := range list {
		if have == w {
			return true
		}
	}
	return false
}

// meter is an account's limits in a batch: its counters, read when they are first
// needed.
type meter struct {
	stored []byte // as in the row
	usage  usage
	parsed bool
	// changed is true if the row has to be written.
	changed bool
}

func (m *meter) counters() (usage, error) {
	if !m.parsed {
		u, err := parseUsage(m.stored)
		if err != nil {
			return nil, err
		}
		m.usage, m.parsed = u, true
	}
	return m.usage, nil
}

// countedUsage is what an account's counters will be.
type countedUsage struct {
	account *lockedAccount
	usage   usage
}

// count works out what charges make of an account's counters and refuses what
// breaks a rule. An account that no rule applies to, and that never had one,
// counts nothing. balance is what the account will have.
func (b *batch) count(a *lockedAccount, charges []charge, balance Amount) (*countedUsage, error) {
	lists := b.rules.of(a.Code, a.Asset, a.tier)
	if a.meter.stored == nil && !a.meter.parsed && len(lists[0])+len(lists[1])+len(lists[2]) == 0 {
		return nil, nil
	}
	u, err := a.meter.counters()
	if err != nil {
		return nil, err
	}
	for _, c := range charges {
		wanted, err := b.checkRules(a, lists, c, u, balance)
		if err != nil {
			return nil, err
		}
		if u, err = u.with(c, wanted, b.now, b.rules.locations()); err != nil {
			return nil, err
		}
	}
	return &countedUsage{account: a, usage: u}, nil
}

// checkRules refuses a charge that breaks a rule, and returns the windows that
// rules of its direction need. What is given back breaks none.
func (b *batch) checkRules(a *lockedAccount, lists [3][]Rule, c charge, u usage, balance Amount) (wanted []window, err error) {
	for _, list := range lists {
		for i := range list {
			rule := &list[i]
			if rule.Direction != c.direction {
				continue
			}
			if w, ok := rule.window(); ok && !contains(wanted, w) {
				wanted = append(wanted, w)
			}
			if c.amount.Sign() < 0 || c.amount.IsZero() && c.number <= 0 {
				continue
			}
			if err := rule.check(c, u, balance, b.now, b.rules.zones); err != nil {
				err.Account, err.Code = a.ID, a.Code
				return nil, err
			}
		}
	}
	return wanted, nil
}

// check returns what a charge breaks of a rule, or nil.
func (r *Rule) check(c charge, u usage, balance Amount, now time.Time, zones map[string]*time.Location) *LimitError {
	used, resets := r.used(u, balance, now, zones)
	add := c.amount
	if r.Period == PerTransaction {
		used = c.before
	}
	switch r.Measure {
	case MeasureCount:
		if c.number <= 0 {
			return nil
		}
		add = NewAmount(c.number)
	case MeasureBalance: // balance has the amount in it already
		if before, err := balance.Sub(c.amount); err == nil {
			used = before
		}
	}
	after, err := used.Add(add)
	if err == nil && after.Cmp(r.Maximum) <= 0 {
		return nil
	}
	return &LimitError{Rule: *r, Used: used, Remaining: r.remaining(used), Resets: resets}
}

// used tells how much of the maximum is used at a moment, and when it resets.
func (r *Rule) used(u usage, balance Amount, now time.Time, zones map[string]*time.Location) (used Amount, resets time.Time) {
	if r.Measure == MeasureBalance {
		return balance, time.Time{}
	}
	w, counts := r.window()
	if !counts {
		return Amount{}, time.Time{}
	}
	c := u.at(w, now, zones)
	_, resets = w.begin(now, zones)
	if r.Measure == MeasureCount {
		return NewAmount(c.Number), utc(resets)
	}
	return c.Amount, utc(resets)
}

func (r *Rule) remaining(used Amount) Amount {
	rest, err := r.Maximum.Sub(used)
	if err != nil || rest.Sign() < 0 {
		return Amount{}
	}
	return rest
}

func (r *rules) locations() map[string]*time.Location {
	if r == nil {
		return nil
	}
	return r.zones
}
