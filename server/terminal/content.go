package terminal

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/server/checkout"
	"github.com/tillbook/tillbook/server/qr"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
)

// event is a row of the table events that a terminal is told of.
type event struct {
	sequence uint64
	kind     string
	payload  []byte
	time     time.Time
	trace    string // what caused it; empty if that isn't traced
}

// item is a message on its way to a terminal.
type item struct {
	// sequence is zero for what isn't acknowledged.
	sequence uint64
	message  *terminalv1.SessionResponse
	// offered is the checkout that the message offers; zero for others.
	offered uuid.UUID
	// trace is what caused it; empty if that isn't traced.
	trace string
}

// content makes messages of events. They show things as they are now, which may be
// later than the event: a checkout that is offered again may be paid already.
type content struct {
	store *store.Store
	desk  *checkout.Desk
}

// isTold says whether terminals are told of events of this type. The others, such as
// that a checkout was sent, count in the sequence all the same.
func isTold(kind string) bool {
	return kind == typeCommand || kind == typeConfiguration || tellsOf(kind) != nil
}

// tellsOf says how a terminal is told what happened to a checkout; nil if it isn't.
func tellsOf(kind string) func(*terminalv1.SessionResponse_Event, *checkoutv1.Checkout) {
	type told = terminalv1.SessionResponse_Event
	switch checkout.Happening(kind) {
	case checkout.Create:
		return func(e *told, c *checkoutv1.Checkout) {
			e.Event = &terminalv1.SessionResponse_Event_CheckoutOffered{CheckoutOffered: c}
		}
	case checkout.Succeed:
		return func(e *told, c *checkoutv1.Checkout) {
			e.Event = &terminalv1.SessionResponse_Event_CheckoutPaid{CheckoutPaid: c}
		}
	case checkout.Refund:
		return func(e *told, c *checkoutv1.Checkout) {
			e.Event = &terminalv1.SessionResponse_Event_CheckoutRefunded{CheckoutRefunded: c}
		}
	case checkout.Authorize, checkout.Decline, checkout.Cancel, checkout.Expire:
		return func(e *told, c *checkoutv1.Checkout) {
			e.Event = &terminalv1.SessionResponse_Event_CheckoutUpdated{CheckoutUpdated: c}
		}
	default:
		return nil
	}
}

// standing is what decides whether a terminal may have a session.
type standing struct {
	epoch                      int64
	active, revoked, keyShared bool
}

// refuse says why a session of this epoch can't be; nil if it can.
func (s standing) refuse(epoch int64) error {
	switch {
	case s.revoked:
		return errRevoked
	case s.keyShared:
		return errKeyShared
	case !s.active:
		return errReplaced
	case s.epoch > epoch:
		return errFenced
	}
	return nil
}

// configuration returns what a terminal needs to know, and how it stands.
func (c *content) configuration(ctx context.Context, terminal uuid.UUID) (*terminalv1.Configuration, standing, error) {
	rows, err := c.store.Queries().ListConfigurations(ctx, []uuid.UUID{terminal})
	if err != nil {
		return nil, standing{}, fmt.Errorf("reading a terminal's configuration: %w", err)
	}
	if len(rows) == 0 {
		return nil, standing{}, errNoTerminal
	}
	r := &rows[0]
	return configurationMessage(r), standing{epoch: r.Epoch, active: r.Active, revoked: r.Revoked, keyShared: r.KeyShared}, nil
}

// items makes the messages of some terminals. Every terminal is in the result; an
// event that can't be shown any more is left out.
func (c *content) items(ctx context.Context, events map[uuid.UUID][]event) (map[uuid.UUID][]item, error) {
	about, err := c.lookUp(ctx, events)
	if err != nil {
		return nil, err
	}
	made := make(map[uuid.UUID][]item, len(events))
	for terminal, list := range events {
		made[terminal] = nil
		for i := range list {
			if it, ok := about.item(terminal, &list[i]); ok {
				made[terminal] = append(made[terminal], it)
			}
		}
	}
	return made, nil
}

// things are what events are about.
type things struct {
	configurations map[uuid.UUID]*terminalv1.Configuration
	checkouts      map[uuid.UUID]*checkoutv1.Checkout
}

// lookUp reads all that the events are about, in one go a kind.
func (c *content) lookUp(ctx context.Context, events map[uuid.UUID][]event) (*things, error) {
	var configured, sold []uuid.UUID
	for terminal, list := range events {
		changed := false
		for i := range list {
			changed = changed || list[i].kind == typeConfiguration
			if tellsOf(list[i].kind) == nil {
				continue
			}
			if p, err := readPayload[checkoutPayload](list[i].payload); err == nil {
				sold = append(sold, p.Checkout)
			}
		}
		if changed {
			configured = append(configured, terminal)
		}
	}
	configurations, err := c.configurations(ctx, configured)
	if err != nil {
		return nil, err
	}
	checkouts, err := c.checkouts(ctx, sold)
	if err != nil {
		return nil, err
	}
	return &things{configurations, checkouts}, nil
}

func (c *content) configurations(ctx context.Context, terminals []uuid.UUID) (map[uuid.UUID]*terminalv1.Configuration, error) {
	if len(terminals) == 0 {
		return nil, nil
	}
	rows, err := c.store.Queries().ListConfigurations(ctx, terminals)
	if err != nil {
		return nil, fmt.Errorf("reading configurations: %w", err)
	}
	found := make(map[uuid.UUID]*terminalv1.Configuration, len(rows))
	for i := range rows {
		found[rows[i].ID] = configurationMessage(&rows[i])
	}
	return found, nil
}

func (c *content) checkouts(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]*checkoutv1.Checkout, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	list, err := c.desk.ByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	shown, err := c.desk.Messages(ctx, list, checkout.ForTerminal())
	if err != nil {
		return nil, err
	}
	found := make(map[uuid.UUID]*checkoutv1.Checkout, len(list))
	for i, sale := range list {
		found[sale.ID] = shown[i]
	}
	return found, nil
}

// item makes the message of one event.
func (t *things) item(terminal uuid.UUID, e *event) (item, bool) {
	told := &terminalv1.SessionResponse_Event{Sequence: e.sequence, CreateTime: timestamppb.New(e.time)}
	it := item{
		sequence: e.sequence,
		trace:    e.trace,
		message:  &terminalv1.SessionResponse{Message: &terminalv1.SessionResponse_Event_{Event: told}},
	}
	switch e.kind {
	case typeCommand:
		p, err := readPayload[commandPayload](e.payload)
		told.Event = &terminalv1.SessionResponse_Event_Command{Command: &terminalv1.SessionResponse_Command{
			Kind: terminalv1.CommandKind(p.Kind), Version: p.Version,
		}}
		return it, err == nil
	case typeConfiguration:
		found, ok := t.configurations[terminal]
		told.Event = &terminalv1.SessionResponse_Event_Configuration{Configuration: found}
		return it, ok
	}
	tell := tellsOf(e.kind)
	p, err := readPayload[checkoutPayload](e.payload)
	sale := t.checkouts[p.Checkout]
	if tell == nil || err != nil || sale == nil {
		return item{}, false
	}
	tell(told, sale)
	if checkout.Happening(e.kind) == checkout.Create {
		it.offered = p.Checkout
	}
	return it, true
}

func configurationMessage(r *store.ListConfigurationsRow) *terminalv1.Configuration {
	// The same code as the merchant is given to print. Where it can't be written, the
	// terminal shows none.
	currency, _ := qr.CountryCurrency(r.Country)
	code, err := qr.Encode(qr.Code{
		Store: id.Format(id.Store, r.StoreID), Category: r.CategoryCode, Currency: currency,
		Country: r.Country, Merchant: r.MerchantName, City: r.City,
	})
	if err != nil {
		code = ""
	}
	return &terminalv1.Configuration{
		Revision:                 uint64(r.Revision),
		MerchantName:             r.MerchantName,
		StoreName:                r.StoreName,
		City:                     r.City,
		TimeZone:                 r.TimeZone,
		Locked:                   r.Locked,
		HeartbeatIntervalSeconds: uint32(heartbeatEvery / time.Second),
		StoreQrText:              code,
	}
}
