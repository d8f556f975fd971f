package oracle

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tillbook/tillbook/examples/torture/mix"
	"github.com/tillbook/tillbook/examples/torture/record"
)

// Gather reads the books once everything is at rest, and waits until the streams have
// told it all, until ctx ends: what they then haven't told, they left out.
func Gather(ctx context.Context, m *mix.Mix) (*Evidence, error) {
	e := &Evidence{Merchant: m.Shop.Merchant, Terminals: make(map[string][]record.Event)}
	for _, g := range m.Groups {
		var names []string
		for _, p := range g {
			names = append(names, p.Name)
		}
		e.Groups = append(e.Groups, names)
	}
	people := m.People()
	e.People = make([]Person, len(people))
	// The books can be read as long as it takes: what bounds them is the client.
	group, reading := errgroup.WithContext(context.WithoutCancel(ctx))
	group.SetLimit(4)
	for i, p := range people {
		group.Go(func() (err error) {
			of := &e.People[i]
			of.Name, of.Funded = p.Name, p.Funded
			if of.History, err = p.History(reading); err != nil {
				return err
			}
			of.Balance, err = p.Balance(reading)
			return err
		})
	}
	group.Go(func() (err error) {
		e.Funds, err = m.Shop.Funds(reading)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	e.Operations = m.Record().Operations()
	for {
		e.listen(m)
		v := &Verdict{}
		v.walletStreams(e)
		v.terminalStreams(e)
		v.merchantStream(e)
		if e.Ghosts == 0 && len(v.Problems) == 0 {
			return e, nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return e, nil
		}
	}
}

// listen takes what the streams have told so far.
func (e *Evidence) listen(m *mix.Mix) {
	for i, p := range m.People() {
		e.People[i].Stream = m.Record().Stream(mix.WalletStream(p))
	}
	for _, d := range m.Shop.Devices {
		e.Terminals[d.Name] = m.Record().Stream(d.Name)
	}
	e.Ghosts = m.Shop.Ghosts()
	e.MerchantStream = m.Record().Stream(mix.MerchantStream)
}
