package terminal_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/gen/tillbook/terminal/v1/terminalv1connect"
	"github.com/tillbook/tillbook/store/id"
)

func TestStaffMayDoWhatTheirRoleAllowsAndStrangersNothing(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	r := w.replica(t)
	s, elsewhere := w.shop(t, r), w.shop(t, r)
	g := s.gadget(t, r)
	foreign := id.Format(id.Terminal, id.New())
	type call struct {
		procedure string
		managers  bool
		request   func(terminal string) proto.Message
		response  proto.Message
	}
	calls := []call{
		{terminalv1connect.TerminalServiceGetTerminalProcedure, false, func(terminal string) proto.Message {
			return &terminalv1.GetTerminalRequest{MerchantId: s.merchant, TerminalId: terminal}
		}, &terminalv1.GetTerminalResponse{}},
		{terminalv1connect.TerminalServiceListTerminalsProcedure, false, func(string) proto.Message {
			return &terminalv1.ListTerminalsRequest{MerchantId: s.merchant}
		}, &terminalv1.ListTerminalsResponse{}},
		{terminalv1connect.TerminalServiceCreateTerminalProcedure, true, func(string) proto.Message {
			return &terminalv1.CreateTerminalRequest{MerchantId: s.merchant, StoreId: s.store, Name: "Bar", IdempotencyKey: uuid.NewString()}
		}, &terminalv1.CreateTerminalResponse{}},
		{terminalv1connect.TerminalServiceSendCommandProcedure, true, func(terminal string) proto.Message {
			return &terminalv1.SendCommandRequest{MerchantId: s.merchant, TerminalId: terminal, Kind: reboot}
		}, &terminalv1.SendCommandResponse{}},
		{terminalv1connect.TerminalServiceReissueActivationCodeProcedure, true, func(terminal string) proto.Message {
			return &terminalv1.ReissueActivationCodeRequest{MerchantId: s.merchant, TerminalId: terminal}
		}, &terminalv1.ReissueActivationCodeResponse{}},
		{terminalv1connect.TerminalServiceRevokeTerminalProcedure, true, func(terminal string) proto.Message {
			return &terminalv1.RevokeTerminalRequest{MerchantId: s.merchant, TerminalId: terminal}
		}, &terminalv1.RevokeTerminalResponse{}},
	}
	for _, c := range calls {
		for name, who := range map[string]person{"owner": s.owner, "manager": s.manager, "cashier": s.cashier, "stranger": elsewhere.owner} {
			want := "<nil>"
			switch {
			case name == "stranger":
				want = "NOT_FOUND"
			case name == "cashier" && c.managers:
				want = "PERMISSION_DENIED"
			}
			if err := r.conn.Invoke(who.context(t.Context()), c.procedure, c.request(g.terminal), c.response); reasonOf(err) != want {
				t.Errorf("%s as %s: %v, want %s", c.procedure, name, err, want)
			}
		}
		if c.procedure == terminalv1connect.TerminalServiceListTerminalsProcedure || c.procedure == terminalv1connect.TerminalServiceCreateTerminalProcedure {
			continue
		}
		if err := r.conn.Invoke(s.owner.context(t.Context()), c.procedure, c.request(foreign), c.response); reasonOf(err) != "NOT_FOUND" {
			t.Errorf("%s of no terminal: %v", c.procedure, err)
		}
	}
	err := r.conn.Invoke(s.owner.context(t.Context()), terminalv1connect.TerminalServiceCreateTerminalProcedure, &terminalv1.CreateTerminalRequest{
		MerchantId: s.merchant, StoreId: elsewhere.store, Name: "Bar", IdempotencyKey: uuid.NewString()}, &terminalv1.CreateTerminalResponse{})
	wantReason(t, err, "NOT_FOUND")
	for _, c := range calls[3:5] { // it is revoked now
		if err := r.conn.Invoke(s.owner.context(t.Context()), c.procedure, c.request(g.terminal), c.response); reasonOf(err) != "TERMINAL_REVOKED" {
			t.Errorf("%s of a revoked terminal: %v", c.procedure, err)
		}
	}
}

func TestTheStateOfATerminalFollowsWhatItSays(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	a, b := w.replica(t), w.replica(t)
	s := w.shop(t, a)
	g := s.gadget(t, a)
	becomes := func(state terminalv1.TerminalState, why terminalv1.TerminalAttention) {
		t.Helper()
		eventually(t, fmt.Sprint(state, why), func() bool {
			got := s.terminal(t, b, g.terminal)
			return got.GetState() == state && got.GetAttention() == why
		})
	}
	const (
		available = terminalv1.TerminalState_TERMINAL_STATE_AVAILABLE
		attention = terminalv1.TerminalState_TERMINAL_STATE_NEEDS_ATTENTION
		offline   = terminalv1.TerminalState_TERMINAL_STATE_OFFLINE
		well      = terminalv1.TerminalAttention_TERMINAL_ATTENTION_UNSPECIFIED
		locked    = terminalv1.TerminalAttention_TERMINAL_ATTENTION_LOCKED
		low       = terminalv1.TerminalAttention_TERMINAL_ATTENTION_BATTERY_LOW
	)
	becomes(offline, well)
	l := g.session(t, a, 0, 0)
	becomes(available, well)
	l.beat(&terminalv1.Health{BatteryPercent: 9, Network: "4g", SignalPercent: 40, SoftwareVersion: "1.1"}, nil)
	becomes(attention, low)
	if h := s.terminal(t, b, g.terminal).GetHealth(); h.GetNetwork() != "4g" || h.GetSignalPercent() != 40 || h.GetSoftwareVersion() != "1.1" {
		t.Errorf("got %v", h)
	}
	l.beat(&terminalv1.Health{BatteryPercent: 10, Charging: true}, nil)
	becomes(available, well)
	s.command(t, b, g.terminal, lock, "")
	becomes(attention, locked)
	s.command(t, b, g.terminal, unlock, "")
	becomes(available, well)
	// Its replica dies without a word: nobody says that it is gone.
	w.exec(t, "UPDATE terminal_presence SET last_seen_time = now() - interval '75 seconds'")
	becomes(offline, well)
	l.beat(nil, nil)
	becomes(available, well)
	l.cancel()
	becomes(offline, well)
	if h := s.terminal(t, b, g.terminal).GetHealth(); h.GetBatteryPercent() != 10 {
		t.Errorf("what it said last is forgotten: %v", h)
	}
}

func TestTerminalsAreListedByPageStoreAndState(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	r := w.replica(t)
	s := w.shop(t, r)
	var made []string
	for range 5 {
		made = append(made, s.create(t, r).GetTerminal().GetTerminalId())
	}
	active := s.gadget(t, r)
	s.revoke(t, r, made[0])
	list := func(req *terminalv1.ListTerminalsRequest) (got []string) {
		t.Helper()
		req.MerchantId = s.merchant
		for {
			res := &terminalv1.ListTerminalsResponse{}
			must(t, r.conn.Invoke(s.cashier.context(t.Context()), terminalv1connect.TerminalServiceListTerminalsProcedure, req, res))
			for _, one := range res.GetTerminals() {
				got = append(got, one.GetTerminalId())
			}
			if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
				return got
			}
		}
	}
	newest := []string{active.terminal, made[4], made[3], made[2], made[1], made[0]}
	for name, tt := range map[string]struct {
		req  *terminalv1.ListTerminalsRequest
		want []string
	}{
		"all":           {&terminalv1.ListTerminalsRequest{PageSize: 2}, newest},
		"of the store":  {&terminalv1.ListTerminalsRequest{StoreId: s.store}, newest},
		"of another":    {&terminalv1.ListTerminalsRequest{StoreId: id.Format(id.Store, id.New())}, nil},
		"revoked":       {&terminalv1.ListTerminalsRequest{State: terminalv1.TerminalState_TERMINAL_STATE_REVOKED}, newest[5:]},
		"offline":       {&terminalv1.ListTerminalsRequest{State: terminalv1.TerminalState_TERMINAL_STATE_OFFLINE}, newest[:1]},
		"not activated": {&terminalv1.ListTerminalsRequest{State: terminalv1.TerminalState_TERMINAL_STATE_NOT_ACTIVATED, PageSize: 3}, newest[1:5]},
	} {
		if got := list(tt.req); fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
