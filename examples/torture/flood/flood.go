package flood

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// tick is how often calls are begun.
const tick = time.Millisecond

// Config says where to and how much.
type Config struct {
	// Site is the load balancer's base URL, and TLS how it is known.
	Site string
	TLS  *tls.Config
	// Payers are at least two, who pay each other in turn.
	Payers []Payer
	// Of a round of calls, Rounds says how many are of each kind.
	Rounds [Kinds]int
	// Conns is how many connections there are, and Timeout each call's deadline.
	Conns   int
	Timeout time.Duration
}

// Flood is a generator of calls. One run at a time.
type Flood struct {
	site    string
	tls     *tls.Config
	timeout time.Duration
	conns   []*conn
	round   []Kind // in which order the kinds come
	of      [Kinds][]*request
	running sync.WaitGroup

	mu    sync.Mutex
	next  uint32
	known []Settled // by number
	tally Tally
}

// Tally counts what became of calls.
type Tally struct {
	// Counts are calls by kind and fate.
	Counts [Kinds][Fates]int
	// Held are calls that found no room on a connection, and weren't offered.
	Held [Kinds]int
	// Open are calls without an answer yet.
	Open int
	// InTime are calls that were done before the time to begin some was over.
	InTime int
	// Slowest is the longest that a call took that was done.
	Slowest [Kinds]time.Duration
	// Wrong are some of the answers that an overload mustn't have.
	Wrong []string
}

// Offered is how many calls of a kind were made.
func (t *Tally) Offered(k Kind) (n int) {
	for _, count := range t.Counts[k] {
		n += count
	}
	return n
}

// Total is how many calls had a fate.
func (t *Tally) Total(f Fate) (n int) {
	for k := range t.Counts {
		n += t.Counts[k][f]
	}
	return n
}

// New prepares the calls and opens the connections.
func New(ctx context.Context, cfg Config) (*Flood, error) {
	f := &Flood{site: cfg.Site, tls: cfg.TLS, timeout: cfg.Timeout}
	for i, p := range cfg.Payers {
		payment, err := paymentOf(p, cfg.Payers[(i+1)%len(cfg.Payers)])
		if err != nil {
			return nil, err
		}
		history, err := historyOf(p)
		if err != nil {
			return nil, err
		}
		watch, err := watchOf(p)
		if err != nil {
			return nil, err
		}
		for _, r := range []*request{payment, history, watch} {
			f.of[r.kind] = append(f.of[r.kind], r)
		}
	}
	f.round = spread(cfg.Rounds)
	for range cfg.Conns {
		c, err := dial(ctx, f)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("connecting the flood: %w", err)
		}
		f.conns = append(f.conns, c)
	}
	return f, nil
}

// spread orders a round so that each kind comes as evenly as can be.
func spread(rounds [Kinds]int) (order []Kind) {
	total := 0
	for _, n := range rounds {
		total += n
	}
	var due [Kinds]int
	for range total {
		most := Kind(0)
		for k := range due {
			due[k] += rounds[k]
			if due[k] > due[most] {
				most = Kind(k)
			}
		}
		due[most] -= total
		order = append(order, most)
	}
	return order
}

// Closed keeps so many calls under way until ctx ends, and Open begins so many a second,
// whatever the answers. Both return what became of the calls that were begun meanwhile,
// once each has its fate.
func (f *Flood) Closed(ctx context.Context, underWay int) Tally {
	return f.run(ctx, func(time.Duration, int) int { return underWay - f.open() })
}

// Open begins so many calls a second.
func (f *Flood) Open(ctx context.Context, perSecond float64) Tally {
	return f.run(ctx, func(since time.Duration, begun int) int { return int(since.Seconds()*perSecond) - begun })
}

// run begins as many calls as are due, every tick.
func (f *Flood) run(ctx context.Context, due func(since time.Duration, begun int) int) Tally {
	f.mu.Lock()
	f.tally = Tally{}
	f.mu.Unlock()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	start, begun := time.Now(), 0
	for swept := start; ctx.Err() == nil; <-ticker.C {
		for n := due(time.Since(start), begun); n > 0; n-- {
			f.begin(begun)
			begun++
		}
		if time.Since(swept) > time.Second {
			swept = time.Now()
			f.sweep(swept.Add(-f.patience()))
		}
	}
	f.mu.Lock()
	f.tally.InTime = f.tally.Total(Done)
	f.mu.Unlock()
	for end := time.Now().Add(f.patience()); f.open() > 0 && time.Now().Before(end); {
		<-ticker.C
	}
	f.sweep(time.Now())
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tally
}

// patience is after how long a call counts as one that isn't answered: its deadline, and
// a little for the way.
func (f *Flood) patience() time.Duration { return f.timeout + 3*time.Second }

func (f *Flood) sweep(before time.Time) {
	for _, c := range f.conns {
		c.sweep(before)
	}
}

// begin begins call i on the first connection that has room.
func (f *Flood) begin(i int) {
	kind := f.round[i%len(f.round)]
	r := f.of[kind][i/len(f.round)%len(f.of[kind])]
	f.mu.Lock()
	number := f.next
	f.next++
	f.known = append(f.known, Never)
	if kind == Payment {
		f.known[number] = Maybe
	}
	f.tally.Open++
	f.mu.Unlock()
	for j := range f.conns {
		if f.conns[(i+j)%len(f.conns)].begin(r, number) {
			return
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tally.Open--
	f.tally.Held[kind]++
	f.known[number] = Never
}

func (f *Flood) open() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tally.Open
}

// maxWrong bounds how many answers that mustn't be are kept.
const maxWrong = 5

// settle counts a call's fate.
func (f *Flood) settle(c *call, fate Fate, settled Settled, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tally.Open--
	f.tally.Counts[c.kind][fate]++
	if c.kind == Payment {
		f.known[c.number] = settled
	}
	switch {
	case fate == Done:
		f.tally.Slowest[c.kind] = max(f.tally.Slowest[c.kind], time.Since(c.begun))
	case fate == Wrong && len(f.tally.Wrong) < maxWrong:
		f.tally.Wrong = append(f.tally.Wrong, c.kind.String()+": "+text)
	}
}

// broke notes that a connection ended by itself.
func (f *Flood) broke(why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tally.Wrong = append(f.tally.Wrong, "a connection ended: "+why.Error())
}

// Known says what clients know of each payment, by its number.
func (f *Flood) Known() []Settled {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Settled(nil), f.known...)
}

// Close ends all connections.
func (f *Flood) Close() {
	for _, c := range f.conns {
		c.end(errClosed)
	}
	f.running.Wait()
}

// unwrap returns the error in what ends a stream.
func unwrap(end []byte) []byte {
	var last struct {
		Error json.RawMessage `json:"error"`
	}
	_ = json.Unmarshal(end, &last)
	return last.Error
}
