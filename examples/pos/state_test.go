package main

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/sdk/terminal"
)

func errReason(reason string) error {
	return &terminal.Error{Reason: reason, Message: "What the server says to programs."}
}

// typing presses keys: names in angle brackets, everything else as text. It returns
// the last action.
func typing(s State, keys string) (State, Action) {
	var last Action
	for keys != "" {
		k := Key{Name: keys[:1], Text: keys[:1]}
		rest := keys[1:]
		if name, after, ok := strings.Cut(strings.TrimPrefix(keys, "<"), ">"); ok && keys[0] == '<' {
			k, rest = Key{Name: name}, after
		}
		if k.Text == " " {
			k.Name = "space"
		}
		keys = rest
		var action Action
		if s, action = s.On(k); action != nil {
			last = action
		}
	}
	return s, last
}

func TestASaleIsTypedFieldByField(t *testing.T) {
	s, action := typing(counter(), "x1a2..<backspace>50<tab>Table 4<tab> <enter>")
	want := &terminalv1.CreateCheckoutRequest{
		Amount: &moneyv1.Money{Asset: "USD", Amount: "12.50"}, Reference: "Table 4",
		TipOptions: &checkoutv1.TipOptions{Allowed: true, Percentages: []uint32{5, 10, 15}},
	}
	if sell, ok := action.(Sell); !ok || !proto.Equal(sell.Request, want) {
		t.Fatalf("got %v, want to sell %v", action, want)
	}
	// Until there is an answer nothing is sent twice, and nothing else is typed.
	if again, action := typing(s, "<enter>5"); action != nil || again.Typed != s.Typed {
		t.Errorf("got %v, %+v while the sale is sent", action, again.Typed)
	}
	if s, action = typing(s, "<ctrl+c>"); action != (Quit{}) {
		t.Errorf("got %v, want to quit", action)
	}
	// Refused, it can be corrected.
	s, _ = s.On(Done{errReason("AMOUNT_TOO_PRECISE")})
	if s, action = typing(s, "<enter>"); s.Typed.Amount != "12.50" || action == nil {
		t.Errorf("got %v, %+v", action, s.Typed)
	}
	if s, action = typing(counter(), "<enter>"); action != nil || s.Notice == "" {
		t.Errorf("sold nothing: %v", action)
	}
}

func TestKeysDoWhatTheScreenSays(t *testing.T) {
	waiting, ended, asking, locked := counter(), counter(), counter(), counter()
	waiting.Open = []*checkoutv1.Checkout{checkout("1", acknowledged), checkout("2", acknowledged)}
	ended.Closed = []*checkoutv1.Checkout{checkout("1", canceled)}
	asking.Unprinted, asking.Busy = &Unprinted{Checkout: checkout("1", succeeded, paid)}, "Looking…"
	locked.Configuration.Locked = true
	for _, tt := range []struct {
		name   string
		from   State
		keys   string
		action Action
		page   Page
	}{
		{"cancel", waiting, "c", Cancel{"1"}, PageWait},
		{"charge", waiting, "p4Q X<enter>", Charge{"1", "4Q X"}, PageCharge},
		{"charge nothing", waiting, "p<enter>", nil, PageCharge},
		{"charge and back", waiting, "p4Q<esc>", nil, PageWait},
		{"go on", ended, "<enter>", nil, PageSale},
		{"print", asking, "p", Print{true}, PageUnprinted},
		{"let be", asking, "d", Print{false}, PageUnprinted},
		{"nothing else", asking, "<enter>c", nil, PageUnprinted},
		{"locked", locked, "12<enter>", nil, PageLocked},
		{"activate", State{}, "7k<backspace>K q<enter>", Activate{"7K q"}, PageActivate},
		{"activate nothing", State{}, "<enter>", nil, PageActivate},
	} {
		s, action := typing(tt.from, tt.keys)
		if !reflect.DeepEqual(action, tt.action) || s.Page() != tt.page {
			t.Errorf("%s: got %v and page %d, want %v and %d", tt.name, action, s.Page(), tt.action, tt.page)
		}
	}
}

// The same news come by the answer to a request and by an event, in any order.
func TestNewsOfASaleAreShownOnceInWhateverOrderTheyCome(t *testing.T) {
	made := checkout("1", checkoutv1.CheckoutState_CHECKOUT_STATE_CREATED)
	offered, over := checkout("1", acknowledged), checkout("1", succeeded, paid)
	for _, order := range [][]*checkoutv1.Checkout{
		{made, offered, over, over}, {offered, made, over}, {offered, over, made, over}, {over, made, offered},
	} {
		s := counter()
		for _, c := range order {
			s, _ = s.On(Sold{c})
		}
		if len(s.Open) != 0 || len(s.Closed) != 1 || s.Closed[0] != over {
			t.Fatalf("%v: open %v, closed %v", order, s.Open, s.Closed)
		}
		s, _ = typing(s, "<enter>")
		for _, c := range order {
			s, _ = s.On(Sold{c})
		}
		if s.Page() != PageSale {
			t.Errorf("%v: told again, it shows page %d", order, s.Page())
		}
	}
}

func TestWhatIsTypedIsKeptUnlessItsSaleEnds(t *testing.T) {
	s := counter()
	for i := range 3 {
		s, _ = s.On(Sold{checkout(fmt.Sprint(i), acknowledged)})
	}
	s, _ = typing(s, "p4Q")
	if s, _ = s.On(Sold{checkout("2", canceled)}); s.Typed.Payment != "4Q" || len(s.Open) != 2 {
		t.Errorf("another sale's end changed what is typed: %+v", s.Typed)
	}
	if s, _ = s.On(Sold{checkout("0", expired)}); s.Typed.Charging || len(s.Closed) != 2 {
		t.Errorf("a sale that is over is still charged: %+v", s.Typed)
	}
}

func TestADeviceThatLostItsPlaceAsksForACode(t *testing.T) {
	s, _ := counter().On(Stopped{errReason("ASSERTION_INVALID")})
	if s.Page() != PageActivate || s.Notice == "" {
		t.Errorf("got page %d, %q", s.Page(), s.Notice)
	}
	if s, _ = s.On(ActivatedNow{}); s.Page() != PageSale || s.Notice != "" {
		t.Errorf("got page %d, %q", s.Page(), s.Notice)
	}
}

func TestAManyTimesDismissedListStaysShort(t *testing.T) {
	s := counter()
	for i := range 3 * maxSeen {
		s, _ = s.On(Sold{checkout(fmt.Sprint(i), canceled)})
		s, _ = typing(s, "<enter>")
	}
	if len(s.Seen) != maxSeen {
		t.Errorf("%d are remembered", len(s.Seen))
	}
}
