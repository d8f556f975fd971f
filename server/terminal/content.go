package terminal

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/store"
)

// event is a row of the table events that a terminal is told of.
type event struct {
	sequence uint64
	kind     string
	payload  []byte
	time     time.Time
}

// item is a message on its way to a terminal.
type item struct {
	// sequence is zero for what isn't acknowledged.
	sequence uint64
	message  *terminalv1.SessionResponse
	// offered is the checkout that the message offers; zero for others.
	offered uuid.UUID
}

// content makes messages of events. They show things as they are now, which may be
// later than the event: a checkout that is offered again may be paid already.
type content struct {
	store *store.Store
	now   func() time.Time
}

// isTold says whether terminals are told of events of this type. The others count in
// the sequence all the same.
func isTold(kind string) bool {
	return kind == typeCommand || kind == typeConfiguration
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
}

// lookUp reads all that the events are about, in one statement a kind.
func (c *content) lookUp(ctx context.Context, events map[uuid.UUID][]event) (*things, error) {
	about := &things{configurations: make(map[uuid.UUID]*terminalv1.Configuration)}
	var changed []uuid.UUID
	for terminal, list := range events {
		for i := range list {
			if list[i].kind == typeConfiguration {
				changed = append(changed, terminal)
				break
			}
		}
	}
	if len(changed) > 0 {
		rows, err := c.store.Queries().ListConfigurations(ctx, changed)
		if err != nil {
			return nil, fmt.Errorf("reading configurations: %w", err)
		}
		for i := range rows {
			about.configurations[rows[i].ID] = configurationMessage(&rows[i])
		}
	}
	return about, nil
}

// item makes the message of one event.
func (t *things) item(terminal uuid.UUID, e *event) (item, bool) {
	told := &terminalv1.SessionResponse_Event{Sequence: e.sequence, CreateTime: timestamppb.New(e.time)}
	it := item{
		sequence: e.sequence,
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
	return item{}, false
}

func configurationMessage(r *store.ListConfigurationsRow) *terminalv1.Configuration {
	return &terminalv1.Configuration{
		Revision:                 uint64(r.Revision),
		MerchantName:             r.MerchantName,
		StoreName:                r.StoreName,
		City:                     r.City,
		TimeZone:                 r.TimeZone,
		Locked:                   r.Locked,
		HeartbeatIntervalSeconds: uint32(heartbeatEvery / time.Second),
	}
}
