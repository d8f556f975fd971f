package mix

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tillbook/tillbook/examples/torture/record"
)

// Site is where the clients go: the load balancer.
type Site struct {
	// HTTP is the base URL for Connect, GRPC the address of the native gRPC door.
	HTTP, GRPC string
	// TLS is how the clients know it.
	TLS *tls.Config
}

// Config says how much there is.
type Config struct {
	// Groups are closed groups of GroupSize people, each with as many callers.
	Groups int
	// Customers pay at Terminals. Tills is how many of them do at a time.
	Customers, Terminals, Tills int
	// Pause is how long a caller waits on average between two operations.
	Pause time.Duration
}

// Steady is the load of most scenarios: some 50 operations a second.
func Steady() Config {
	return Config{Groups: 4, Customers: 4, Terminals: 6, Tills: 4, Pause: 150 * time.Millisecond}
}

// GroupSize is how many people a closed group has.
const GroupSize = 3

// groupFunds is what each of a group begins with, in cents: little, so that
// some payments are refused for want of it. customerFunds are plenty.
const (
	groupFunds    = 1000
	customerFunds = 500_000
)

// Mix is the traffic of one scenario.
type Mix struct {
	site   Site
	record *record.Recorder
	config Config

	// Groups are the closed groups, and Customers the rest of the people.
	Groups    [][]*Person
	Customers []*Person
	// Owner owns the merchant, and Signer signs in again and again.
	Owner, Signer *Person
	// Shop is where they pay.
	Shop *Shop

	stopping  context.Context // no new operations
	stop      context.CancelFunc
	ending    context.Context // nothing more at all
	end       context.CancelFunc
	callers   sync.WaitGroup
	listeners sync.WaitGroup
}

// New prepares the traffic: it registers people, opens a shop and activates its
// terminals.
func New(ctx context.Context, site Site, r *record.Recorder, config Config) (*Mix, error) {
	m := &Mix{site: site, record: r, config: config, Groups: make([][]*Person, config.Groups), Customers: make([]*Person, config.Customers)}
	m.stopping, m.stop = context.WithCancel(context.Background())
	m.ending, m.end = context.WithCancel(context.Background())
	group, registering := errgroup.WithContext(ctx)
	group.SetLimit(4)
	register := func(into **Person, name string, funded int64) {
		group.Go(func() (err error) {
			*into, err = m.register(registering, name, funded)
			return err
		})
	}
	for g := range m.Groups {
		m.Groups[g] = make([]*Person, GroupSize)
		for i := range m.Groups[g] {
			register(&m.Groups[g][i], fmt.Sprintf("g%dp%d", g, i), groupFunds)
		}
	}
	for i := range m.Customers {
		register(&m.Customers[i], fmt.Sprintf("c%d", i), customerFunds)
	}
	register(&m.Owner, "owner", 0)
	register(&m.Signer, "signer", 0)
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var err error
	m.Shop, err = m.openShop(ctx)
	return m, err
}

// People are all who have money.
func (m *Mix) People() []*Person {
	var list []*Person
	for _, g := range m.Groups {
		list = append(list, g...)
	}
	return append(list, m.Customers...)
}

// Start begins the traffic. It returns once the terminals are online and the streams
// have begun.
func (m *Mix) Start(ctx context.Context) error {
	m.Shop.run(m)
	if err := m.watchAll(ctx); err != nil {
		return err
	}
	if err := m.Shop.online(ctx); err != nil {
		return err
	}
	if err := m.watching(ctx); err != nil {
		return err
	}
	for g, people := range m.Groups {
		for i := range people {
			m.loop(func(ctx context.Context) { m.inGroup(ctx, g, i) })
		}
	}
	for range m.config.Tills {
		m.loop(m.sell)
	}
	m.loop(m.signIn)
	return nil
}

// Crowd has that many more callers pay without a pause, until the context ends. It
// waits for none of them.
func (m *Mix) Crowd(ctx context.Context, callers int) {
	for i := range callers {
		m.callers.Go(func() {
			for ctx.Err() == nil && m.stopping.Err() == nil {
				m.pay(m.ending, m.Customers[i%len(m.Customers)], m.Customers[(i+1)%len(m.Customers)])
			}
		})
	}
}

// loop has a caller do something again and again until the mix stops.
func (m *Mix) loop(do func(context.Context)) {
	m.callers.Go(func() {
		for sleep(m.stopping, rand.N(2*m.config.Pause)+1) {
			do(m.ending)
		}
	})
}

// Stop begins nothing more and waits until the outcome of everything under way is
// known, or ctx ends. Streams go on until End.
func (m *Mix) Stop(ctx context.Context) error {
	m.stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.callers.Wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errors.New("some operations can't be resolved")
	}
}

// End ends everything, streams too.
func (m *Mix) End() {
	m.stop()
	m.end()
	m.callers.Wait()
	m.listeners.Wait()
}

// Record returns the recorder.
func (m *Mix) Record() *record.Recorder { return m.record }

// sleep waits, and returns false if ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
