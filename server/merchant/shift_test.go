package merchant_test

import (
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/store/id"
)

func openShift(t testing.TB, c client, key string, s shop, terminal string) (*merchantv1.Shift, error) {
	t.Helper()
	res, err := c.OpenShift(t.Context(), &merchantv1.OpenShiftRequest{
		IdempotencyKey: key, MerchantId: s.id, StoreId: s.store, TerminalId: terminal,
	})
	return res.GetShift(), err
}

func mustOpenShift(t testing.TB, c client, key string, s shop, terminal string) *merchantv1.Shift {
	t.Helper()
	shift, err := openShift(t, c, key, s, terminal)
	if err != nil {
		t.Fatalf("open a shift: %v", err)
	}
	return shift
}

func closeShift(t testing.TB, c client, s shop, shift string) (*merchantv1.Shift, error) {
	t.Helper()
	res, err := c.CloseShift(t.Context(), &merchantv1.CloseShiftRequest{MerchantId: s.id, ShiftId: shift})
	return res.GetShift(), err
}

// shifts are all pages of a list, of two a page.
func shifts(t testing.TB, c client, s shop) (all []*merchantv1.Shift) {
	t.Helper()
	req := &merchantv1.ListShiftsRequest{MerchantId: s.id, PageSize: 2}
	for {
		res, err := c.ListShifts(t.Context(), req)
		if err != nil {
			t.Fatalf("list shifts: %v", err)
		}
		all = append(all, res.GetShifts()...)
		if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
			return all
		}
	}
}

// addTerminal adds a terminal to a store as its merchant has it.
func addTerminal(t testing.TB, books *moneytest.Books, s shop, storeID string) string {
	t.Helper()
	made := id.New()
	execute(t, books, `INSERT INTO terminals (id, merchant_id, store_id, name, key_hash, fingerprint, create_time)
		VALUES ($1, $2, $3, 'counter', $1, '', now())`, made, s.uuid(t), mustParse(t, id.Store, storeID))
	return id.Format(id.Terminal, made)
}

func TestAShiftOpensOnceAndCloses(t *testing.T) {
	books := moneytest.New(t)
	here, there := serve(t, books), serve(t, books)
	s := open(t, books, here, "batavia")
	shift := mustOpenShift(t, here.as(s.cashier), "1", s, "")
	if shift.GetUserId() != s.cashier.Name || shift.GetStoreId() != s.store || shift.GetTerminalId() != "" ||
		shift.GetOpenTime() == nil || shift.GetCloseTime() != nil {
		t.Errorf("opened %v", shift)
	}
	if again := mustOpenShift(t, there.as(s.cashier), "1", s, ""); !proto.Equal(again, shift) {
		t.Errorf("a retry opens %v", again)
	}
	_, err := openShift(t, there.as(s.cashier), "2", s, "")
	moneytest.WantRefusal(t, err, "SHIFT_OPEN")
	terminal := addTerminal(t, books, s, s.store)
	_, err = openShift(t, there.as(s.cashier), "1", s, terminal)
	moneytest.WantRefusal(t, err, "IDEMPOTENCY_KEY_REUSED")

	closed, err := closeShift(t, there.as(s.cashier), s, shift.GetShiftId())
	if err != nil || closed.GetCloseTime() == nil {
		t.Fatalf("closing answers %v, %v", closed, err)
	}
	if again, err := closeShift(t, here.as(s.manager), s, shift.GetShiftId()); err != nil || !proto.Equal(again, closed) {
		t.Errorf("closing again answers %v, %v", again, err)
	}
	if again := mustOpenShift(t, there.as(s.cashier), "1", s, ""); !proto.Equal(again, closed) {
		t.Errorf("a late retry opens %v", again)
	}
	second := mustOpenShift(t, here.as(s.cashier), "2", s, terminal)
	if second.GetTerminalId() != terminal {
		t.Errorf("opened %v", second)
	}
	_, err = openShift(t, here.as(s.manager), "1", s, terminal)
	moneytest.WantRefusal(t, err, "SHIFT_OPEN")
	_, err = closeShift(t, here.as(s.manager), s, second.GetShiftId())
	if err != nil {
		t.Errorf("a manager can't close it: %v", err)
	}
	mustOpenShift(t, here.as(s.manager), "1", s, terminal)
	if own, all := shifts(t, here.as(s.cashier), s), shifts(t, here.as(s.owner), s); len(own) != 2 || len(all) != 3 || !proto.Equal(own[1], closed) {
		t.Errorf("the cashier sees %v, the owner %v", own, all)
	}
}

func TestShiftsThatCannotBeAreRefused(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	s, other := open(t, books, r, "batavia"), open(t, books, r, "bogor")
	elsewhere := mustAddStore(t, r.as(s.owner), s.id, "Menteng").GetStoreId()
	mine := mustOpenShift(t, r.as(s.manager), "manager", s, "")
	foreign := mustOpenShift(t, r.as(other.owner), "foreign", other, "")
	for name, tt := range map[string]struct {
		store, terminal, reason string
	}{
		"another's store":             {store: other.store, reason: "NOT_FOUND"},
		"no store":                    {store: id.Format(id.Store, id.New()), reason: "NOT_FOUND"},
		"another's terminal":          {store: s.store, terminal: addTerminal(t, books, other, other.store), reason: "NOT_FOUND"},
		"a terminal of another store": {store: s.store, terminal: addTerminal(t, books, s, elsewhere), reason: "NOT_FOUND"},
		"no terminal":                 {store: s.store, terminal: id.Format(id.Terminal, id.New()), reason: "NOT_FOUND"},
	} {
		t.Run(name, func(t *testing.T) {
			at := s
			at.store = tt.store
			_, err := openShift(t, r.as(s.cashier), "refused", at, tt.terminal)
			moneytest.WantRefusal(t, err, tt.reason)
		})
	}
	_, err := openShift(t, r.as(other.cashier), "1", s, "")
	moneytest.WantRefusal(t, err, "NOT_FOUND")
	_, err = closeShift(t, r.as(s.cashier), s, mine.GetShiftId())
	moneytest.WantRefusal(t, err, "PERMISSION_DENIED")
	_, err = closeShift(t, r.as(s.owner), s, foreign.GetShiftId())
	moneytest.WantRefusal(t, err, "NOT_FOUND")
	_, err = closeShift(t, r.as(s.owner), s, id.Format(id.Shift, id.New()))
	moneytest.WantRefusal(t, err, "NOT_FOUND")
}

func TestOneOfManyShiftsOpens(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	s := open(t, books, replicas[0], "batavia")
	terminal := addTerminal(t, books, s, s.store)
	people := []moneytest.User{s.owner, s.manager, s.cashier}
	for round := range 4 {
		var opened atomic.Pointer[merchantv1.Shift]
		var n atomic.Int32
		together(9, func(i int) {
			shift, err := openShift(t, replicas[i%2].as(people[i%3]), id.New().String(), s, terminal)
			if err == nil {
				n.Add(1)
				opened.Store(shift)
				return
			}
			moneytest.WantRefusal(t, err, "SHIFT_OPEN")
		})
		if n.Load() != 1 {
			t.Fatalf("round %d: %d shifts are open at one terminal", round, n.Load())
		}
		if _, err := closeShift(t, replicas[0].as(s.owner), s, opened.Load().GetShiftId()); err != nil {
			t.Fatal(err)
		}
	}
}
