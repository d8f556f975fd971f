package merchant_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/store/id"
)

const (
	manager = merchantv1.Role_ROLE_MANAGER
	cashier = merchantv1.Role_ROLE_CASHIER

	isOpen     = merchantv1.InvitationState_INVITATION_STATE_OPEN
	isAccepted = merchantv1.InvitationState_INVITATION_STATE_ACCEPTED
	isDeclined = merchantv1.InvitationState_INVITATION_STATE_DECLINED
	isCanceled = merchantv1.InvitationState_INVITATION_STATE_CANCELED
	isExpired  = merchantv1.InvitationState_INVITATION_STATE_EXPIRED
)

func decline(t testing.TB, c client, invitation string) (*merchantv1.Invitation, error) {
	t.Helper()
	res, err := c.DeclineInvitation(t.Context(), &merchantv1.DeclineInvitationRequest{InvitationId: invitation})
	return res.GetInvitation(), err
}

func cancel(t testing.TB, c client, invitation string) (*merchantv1.Invitation, error) {
	t.Helper()
	res, err := c.CancelInvitation(t.Context(), &merchantv1.CancelInvitationRequest{InvitationId: invitation})
	return res.GetInvitation(), err
}

// invitations are all pages of a list, of two a page; the caller's own without a
// merchant.
func invitations(t testing.TB, c client, merchantID string) (all []*merchantv1.Invitation) {
	t.Helper()
	req := &merchantv1.ListInvitationsRequest{MerchantId: merchantID, PageSize: 2}
	for {
		res, err := c.ListInvitations(t.Context(), req)
		if err != nil {
			t.Fatalf("list invitations: %v", err)
		}
		all = append(all, res.GetInvitations()...)
		if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
			return all
		}
	}
}

func TestTheInvitedPhoneNumberAcceptsOnce(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	s := open(t, books, replicas[0], "batavia")
	dewi, eve := books.User(t, "dewi"), books.User(t, "eve_x")
	made := mustInvite(t, replicas[0].as(s.owner), invite("dewi", s, dewi, manager))
	if made.GetState() != isOpen || made.GetPhoneNumber() != dewi.Phone || made.GetRole() != manager || made.GetMerchantName() != "Café Batavia" ||
		made.GetExpireTime().AsTime().Sub(made.GetCreateTime().AsTime()) != 7*24*time.Hour {
		t.Errorf("made %v", made)
	}
	if own := invitations(t, replicas[1].as(dewi), ""); len(own) != 1 || own[0].GetInvitationId() != made.GetInvitationId() || own[0].GetPhoneNumber() != "" {
		t.Errorf("the invited person sees %v", own)
	}
	if own := invitations(t, replicas[1].as(eve), ""); len(own) != 0 {
		t.Errorf("somebody else sees %v", own)
	}
	_, err := accept(t, replicas[0].as(eve), made.GetInvitationId())
	moneytest.WantRefusal(t, err, "NOT_FOUND")
	_, err = decline(t, replicas[0].as(eve), made.GetInvitationId())
	moneytest.WantRefusal(t, err, "NOT_FOUND")

	together(8, func(i int) {
		at, err := accept(t, replicas[i%2].as(dewi), made.GetInvitationId())
		if err != nil || at.GetMerchantId() != s.id || at.GetRole() != manager {
			t.Errorf("accepting answers %v, %v", at, err)
		}
	})
	if got := members(t, replicas[0].as(dewi), s); strings.Count(got, dewi.Name) != 1 || !strings.HasPrefix(got, dewi.Name+":MANAGER") {
		t.Errorf("there work %s", got)
	}
	_, err = decline(t, replicas[0].as(dewi), made.GetInvitationId())
	moneytest.WantRefusal(t, err, "INVITATION_CLOSED")
	_, err = cancel(t, replicas[0].as(s.owner), made.GetInvitationId())
	moneytest.WantRefusal(t, err, "INVITATION_CLOSED")

	// Who is removed doesn't come back by the same invitation.
	if _, err := replicas[0].as(s.owner).RemoveStaff(t.Context(), &merchantv1.RemoveStaffRequest{MerchantId: s.id, UserId: dewi.Name}); err != nil {
		t.Fatal(err)
	}
	_, err = accept(t, replicas[1].as(dewi), made.GetInvitationId())
	moneytest.WantRefusal(t, err, "INVITATION_CLOSED")
}

func TestANumberThatNobodyHasIsInvitedAllTheSame(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	s := open(t, books, r, "batavia")
	known := books.User(t, "known")
	unknown := moneytest.User{Phone: "+6281299999999", Username: "unknown"}
	a := mustInvite(t, r.as(s.owner), invite("known", s, known, cashier))
	b := mustInvite(t, r.as(s.owner), invite("unknown", s, unknown, cashier))
	for _, x := range []*merchantv1.Invitation{a, b} {
		x.InvitationId, x.PhoneNumber, x.CreateTime, x.ExpireTime = "", "", nil, nil
	}
	if !proto.Equal(a, b) {
		t.Errorf("it shows who has an account: %v, %v", a, b)
	}
	// They register later.
	late := books.User(t, "later")
	execute(t, books, `UPDATE users SET phone_number = $1 WHERE id = $2`, unknown.Phone, late.ID)
	own := invitations(t, r.as(late), "")
	if len(own) != 1 {
		t.Fatalf("who registers later has %v", own)
	}
	if _, err := accept(t, r.as(late), own[0].GetInvitationId()); err != nil {
		t.Errorf("who registers later can't accept: %v", err)
	}
}

func TestInvitationsEndInOneWay(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	s := open(t, books, r, "batavia")
	dewi := books.User(t, "dewi")
	declined := mustInvite(t, r.as(s.manager), invite("1", s, dewi, cashier)).GetInvitationId()
	canceled := mustInvite(t, r.as(s.owner), invite("2", s, dewi, cashier)).GetInvitationId()
	expired := mustInvite(t, r.as(s.owner), invite("3", s, dewi, cashier)).GetInvitationId()
	execute(t, books, `UPDATE invitations SET expire_time = create_time WHERE id = $1`, mustParse(t, id.Invitation, expired))
	for range 2 { // the second time answers as the first
		if got, err := decline(t, r.as(dewi), declined); err != nil || got.GetState() != isDeclined || got.GetPhoneNumber() != "" {
			t.Errorf("declining answers %v, %v", got, err)
		}
		if got, err := cancel(t, r.as(s.manager), canceled); err != nil || got.GetState() != isCanceled {
			t.Errorf("canceling answers %v, %v", got, err)
		}
	}
	for _, closed := range []string{declined, canceled, expired} {
		_, err := accept(t, r.as(dewi), closed)
		moneytest.WantRefusal(t, err, "INVITATION_CLOSED")
	}
	_, err := cancel(t, r.as(s.owner), expired)
	moneytest.WantRefusal(t, err, "INVITATION_CLOSED")
	_, err = decline(t, r.as(dewi), expired)
	moneytest.WantRefusal(t, err, "INVITATION_CLOSED")
	states := map[string]merchantv1.InvitationState{}
	for _, i := range invitations(t, r.as(s.manager), s.id) {
		states[i.GetInvitationId()] = i.GetState()
	}
	if states[declined] != isDeclined || states[canceled] != isCanceled || states[expired] != isExpired || len(states) != 5 {
		t.Errorf("the merchant sees %v", states)
	}
	unknown := id.Format(id.Invitation, id.New())
	for _, err := range []error{
		func() error { _, err := accept(t, r.as(dewi), unknown); return err }(),
		func() error { _, err := decline(t, r.as(dewi), unknown); return err }(),
		func() error { _, err := cancel(t, r.as(s.owner), unknown); return err }(),
		func() error { _, err := cancel(t, r.as(dewi), canceled); return err }(),
	} {
		moneytest.WantRefusal(t, err, "NOT_FOUND")
	}
	_, err = cancel(t, r.as(s.cashier), canceled)
	moneytest.WantRefusal(t, err, "PERMISSION_DENIED")
}

func TestAcceptingAndCancelingRace(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	s := open(t, books, replicas[0], "batavia")
	dewi := books.User(t, "dewi")
	for range 5 {
		made := mustInvite(t, replicas[0].as(s.owner), invite(id.New().String(), s, dewi, cashier)).GetInvitationId()
		var accepted, canceled atomic.Int32
		together(6, func(i int) {
			var err error
			if i%2 == 0 {
				if _, err = accept(t, replicas[i/2%2].as(dewi), made); err == nil {
					accepted.Add(1)
				}
			} else if _, err = cancel(t, replicas[i/2%2].as(s.owner), made); err == nil {
				canceled.Add(1)
			}
			if err != nil {
				moneytest.WantRefusal(t, err, "INVITATION_CLOSED")
			}
		})
		works := strings.Contains(members(t, replicas[0].as(s.owner), s), dewi.Name)
		if won := accepted.Load() == 3; won == (canceled.Load() == 3) || won != works {
			t.Fatalf("%d accepted, %d canceled; works there: %v", accepted.Load(), canceled.Load(), works)
		}
		if works {
			if _, err := replicas[0].as(dewi).RemoveStaff(t.Context(), &merchantv1.RemoveStaffRequest{MerchantId: s.id, UserId: dewi.Name}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestWhoInvitesWhomIsBounded(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	r := replicas[0]
	s := open(t, books, r, "batavia")
	dewi := books.User(t, "dewi")
	made := make([]string, 6)
	together(len(made), func(i int) {
		made[i] = mustInvite(t, replicas[i%2].as(s.manager), invite("once", s, dewi, cashier)).GetInvitationId()
	})
	for _, m := range made {
		if m != made[0] {
			t.Fatalf("one key made %s and %s", made[0], m)
		}
	}
	for name, tt := range map[string]struct {
		as     moneytest.User
		req    *merchantv1.InviteStaffRequest
		reason string
	}{
		"a manager invites a manager":  {s.manager, invite("a", s, dewi, manager), "PERMISSION_DENIED"},
		"a cashier invites":            {s.cashier, invite("b", s, dewi, cashier), "PERMISSION_DENIED"},
		"a stranger invites":           {dewi, invite("c", s, dewi, cashier), "NOT_FOUND"},
		"somebody becomes the owner":   {s.owner, invite("d", s, dewi, merchantv1.Role_ROLE_OWNER), "INVALID_ARGUMENT"},
		"as nothing":                   {s.owner, invite("e", s, dewi, 0), "INVALID_ARGUMENT"},
		"no number":                    {s.owner, invite("f", s, moneytest.User{Phone: "+62812"}, cashier), "PHONE_NUMBER_INVALID"},
		"the same key, another number": {s.manager, invite("once", s, s.cashier, cashier), "IDEMPOTENCY_KEY_REUSED"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.as(tt.as).InviteStaff(t.Context(), tt.req)
			moneytest.WantRefusal(t, err, tt.reason)
		})
	}
	var err error
	for i := range 30 {
		if _, err = r.as(s.manager).InviteStaff(t.Context(), invite("again-"+string(rune('a'+i)), s, dewi, cashier)); err != nil {
			break
		}
	}
	if got := moneytest.WantRefusal(t, err, "RATE_LIMITED"); !got.Retry {
		t.Error("nothing says when to try again")
	}
}
