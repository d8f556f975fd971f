package merchant_test

import (
	"strings"
	"testing"

	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/server/money/moneytest"
)

func remove(t testing.TB, c client, s shop, u moneytest.User) error {
	t.Helper()
	_, err := c.RemoveStaff(t.Context(), &merchantv1.RemoveStaffRequest{MerchantId: s.id, UserId: u.Name})
	return err
}

func TestTheStaffIsListedWithMaskedNames(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	s := open(t, books, r, "batavia")
	want := s.cashier.Name + ":CASHIER " + s.manager.Name + ":MANAGER " + s.owner.Name + ":OWNER"
	if got := members(t, r.as(s.manager), s); got != want {
		t.Errorf("there work %s, want %s", got, want)
	}
	res, err := r.as(s.owner).ListStaff(t.Context(), &merchantv1.ListStaffRequest{MerchantId: s.id, PageSize: 1})
	if err != nil || res.GetStaff()[0].GetMaskedName() != "b***r" || res.GetStaff()[0].GetCreateTime() == nil {
		t.Errorf("the newest is %v, %v", res, err)
	}
	_, err = r.as(s.cashier).ListStaff(t.Context(), &merchantv1.ListStaffRequest{MerchantId: s.id})
	moneytest.WantRefusal(t, err, "PERMISSION_DENIED")
	_, err = r.as(s.owner).ListStaff(t.Context(), &merchantv1.ListStaffRequest{MerchantId: s.id, PageToken: "x"})
	moneytest.WantRefusal(t, err, "PAGE_TOKEN_INVALID")
}

func TestWhoRemovesWhom(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	s := open(t, books, r, "batavia")
	second, another := books.User(t, "second"), books.User(t, "another")
	hire(t, r, s, second, manager)
	hire(t, r, s, another, cashier)
	for name, tt := range map[string]struct {
		as, whom moneytest.User
		reason   string
	}{
		"a cashier removes a cashier": {s.cashier, another, "PERMISSION_DENIED"},
		"a manager removes a manager": {s.manager, second, "PERMISSION_DENIED"},
		"a manager removes the owner": {s.manager, s.owner, "PERMISSION_DENIED"},
		"the owner leaves":            {s.owner, s.owner, "PERMISSION_DENIED"},
		"somebody who isn't there":    {s.owner, books.User(t, "nobody"), "NOT_FOUND"},
		"a stranger removes":          {books.User(t, "stranger"), another, "NOT_FOUND"},
	} {
		t.Run(name, func(t *testing.T) { moneytest.WantRefusal(t, remove(t, r.as(tt.as), s, tt.whom), tt.reason) })
	}
	for _, tt := range []struct{ as, whom moneytest.User }{{s.manager, another}, {s.cashier, s.cashier}, {s.owner, second}, {s.manager, s.manager}} {
		if err := remove(t, r.as(tt.as), s, tt.whom); err != nil {
			t.Errorf("%s can't remove %s: %v", tt.as.Username, tt.whom.Username, err)
		}
	}
	if got := members(t, r.as(s.owner), s); got != s.owner.Name+":OWNER" {
		t.Errorf("there work %s", got)
	}
	_, err := r.as(s.manager).GetMerchant(t.Context(), &merchantv1.GetMerchantRequest{MerchantId: s.id})
	moneytest.WantRefusal(t, err, "NOT_FOUND")
}

func TestWhatSomebodyLeftOpenEndsWithTheirWork(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	s := open(t, books, r, "batavia")
	dewi := books.User(t, "dewi")
	made := mustInvite(t, r.as(s.manager), invite("dewi", s, dewi, cashier)).GetInvitationId()
	shift := mustOpenShift(t, r.as(s.manager), "early", s, "")
	if err := remove(t, r.as(s.owner), s, s.manager); err != nil {
		t.Fatal(err)
	}
	_, err := accept(t, r.as(dewi), made)
	moneytest.WantRefusal(t, err, "INVITATION_CLOSED")
	list := shifts(t, r.as(s.owner), s)
	if len(list) != 1 || list[0].GetShiftId() != shift.GetShiftId() || list[0].GetCloseTime() == nil {
		t.Errorf("the shifts are %v", list)
	}
}

func TestAnInvitationNeverLowersARole(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	s := open(t, books, r, "batavia")
	for _, tt := range []struct {
		who  moneytest.User
		as   merchantv1.Role
		want string
	}{{s.owner, cashier, ":OWNER"}, {s.manager, cashier, ":MANAGER"}, {s.cashier, manager, ":MANAGER"}} {
		made := mustInvite(t, r.as(s.owner), invite("again-"+tt.who.Username, s, tt.who, tt.as))
		if _, err := accept(t, r.as(tt.who), made.GetInvitationId()); err != nil {
			t.Fatal(err)
		}
		if got := members(t, r.as(s.owner), s); !strings.Contains(got, tt.who.Name+tt.want) {
			t.Errorf("after it there work %s", got)
		}
	}
}
