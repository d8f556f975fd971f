package merchant_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/server/qr"
	"github.com/tillbook/tillbook/store/id"
)

func TestWhoCreatesAMerchantOwnsIt(t *testing.T) {
	books := moneytest.New(t)
	here, there := serve(t, books), serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	req := create("first")
	req.SettlementSchedule = &merchantv1.SettlementSchedule{Interval: merchantv1.SettlementInterval_SETTLEMENT_INTERVAL_DAILY, MinuteOfDay: 540}
	made := mustCreate(t, here.as(alice), req)
	if made.GetRole() != merchantv1.Role_ROLE_OWNER || made.GetName() != "Café Batavia" || made.GetTimeZone() != "Asia/Jakarta" ||
		made.GetCategoryCode() != "5814" || made.GetSettlementSchedule().GetMinuteOfDay() != 540 || made.GetCreateTime() == nil {
		t.Errorf("made %v", made)
	}
	got, err := there.as(alice).GetMerchant(t.Context(), &merchantv1.GetMerchantRequest{MerchantId: made.GetMerchantId()})
	if err != nil || !proto.Equal(got.GetMerchant(), made) || len(got.GetBalances()) != 0 {
		t.Errorf("got %v, %v; made %v", got, err, made)
	}
	_, err = there.as(bob).GetMerchant(t.Context(), &merchantv1.GetMerchantRequest{MerchantId: made.GetMerchantId()})
	moneytest.WantRefusal(t, err, "NOT_FOUND")

	plain := mustCreate(t, here.as(alice), &merchantv1.CreateMerchantRequest{IdempotencyKey: "plain", Name: " Toko ", Country: "ID", City: "Bogor"})
	if plain.GetCategoryCode() != "0000" || plain.GetTimeZone() != "UTC" || plain.GetName() != "Toko" ||
		plain.GetSettlementSchedule().GetInterval() != merchantv1.SettlementInterval_SETTLEMENT_INTERVAL_AT_ONCE {
		t.Errorf("without what isn't needed it is %v", plain)
	}
	res, err := here.as(alice).ListMerchants(t.Context(), &merchantv1.ListMerchantsRequest{PageSize: 1})
	if err != nil || len(res.GetMerchants()) != 1 || res.GetMerchants()[0].GetMerchantId() != plain.GetMerchantId() {
		t.Fatalf("the first page is %v, %v", res, err)
	}
	next, err := there.as(alice).ListMerchants(t.Context(), &merchantv1.ListMerchantsRequest{PageSize: 1, PageToken: res.GetNextPageToken()})
	if err != nil || len(next.GetMerchants()) != 1 || next.GetMerchants()[0].GetMerchantId() != made.GetMerchantId() || next.GetNextPageToken() != "" {
		t.Fatalf("the second page is %v, %v", next, err)
	}
	_, err = there.as(bob).ListMerchants(t.Context(), &merchantv1.ListMerchantsRequest{PageSize: 1, PageToken: res.GetNextPageToken()})
	moneytest.WantRefusal(t, err, "PAGE_TOKEN_INVALID")
}

func TestAMerchantsKeyStandsForOneMerchant(t *testing.T) {
	books := moneytest.New(t)
	replicas := []replica{serve(t, books), serve(t, books)}
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	made := make([]string, 8)
	together(len(made), func(i int) {
		made[i] = mustCreate(t, replicas[i%2].as(alice), create("once")).GetMerchantId()
	})
	for _, m := range made {
		if m != made[0] {
			t.Fatalf("one key made %s and %s", made[0], m)
		}
	}
	other := create("once")
	other.Name = "Another"
	_, err := replicas[0].as(alice).CreateMerchant(t.Context(), other)
	moneytest.WantRefusal(t, err, "IDEMPOTENCY_KEY_REUSED")
	if mustCreate(t, replicas[0].as(bob), create("once")).GetMerchantId() == made[0] {
		t.Error("two users' keys made one merchant")
	}
	mustCreate(t, replicas[0].as(alice), create("last"))
	_, err = replicas[1].as(alice).CreateMerchant(t.Context(), create("too many"))
	if got := moneytest.ReadRefusal(t, err); got.Reason != "INVALID_ARGUMENT" {
		t.Errorf("a key with a space: %v", err)
	}
	_, err = replicas[1].as(alice).CreateMerchant(t.Context(), create("too-many"))
	if got := moneytest.WantRefusal(t, err, "RATE_LIMITED"); !got.Retry {
		t.Error("nothing says when to try again")
	}
}

func TestAMerchantThatCannotBeIsRefused(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice := books.User(t, "alice")
	for name, tt := range map[string]struct {
		change        func(*merchantv1.CreateMerchantRequest)
		reason, field string
	}{
		"no such zone":    {func(r *merchantv1.CreateMerchantRequest) { r.TimeZone = "Mars/Olympus" }, "TIME_ZONE_INVALID", "time_zone"},
		"the server's":    {func(r *merchantv1.CreateMerchantRequest) { r.TimeZone = "Local" }, "TIME_ZONE_INVALID", "time_zone"},
		"no such country": {func(r *merchantv1.CreateMerchantRequest) { r.Country = "XX" }, "INVALID_ARGUMENT", "country"},
		"no name":         {func(r *merchantv1.CreateMerchantRequest) { r.Name = "   " }, "INVALID_ARGUMENT", "name"},
		"a name to hide":  {func(r *merchantv1.CreateMerchantRequest) { r.Name = "\u200b\u0301" }, "INVALID_ARGUMENT", "name"},
		"no town":         {func(r *merchantv1.CreateMerchantRequest) { r.City = " " }, "INVALID_ARGUMENT", "city"},
		"two lines":       {func(r *merchantv1.CreateMerchantRequest) { r.Name = "a\nb" }, "INVALID_ARGUMENT", "name"},
		"weekly, no day": {func(r *merchantv1.CreateMerchantRequest) {
			r.SettlementSchedule = &merchantv1.SettlementSchedule{Interval: merchantv1.SettlementInterval_SETTLEMENT_INTERVAL_WEEKLY}
		}, "SCHEDULE_INVALID", "settlement_schedule.weekday"},
	} {
		t.Run(name, func(t *testing.T) {
			req := create("refused")
			tt.change(req)
			_, err := r.as(alice).CreateMerchant(t.Context(), req)
			if got := moneytest.WantRefusal(t, err, tt.reason); got.Field != tt.field {
				t.Errorf("the error names field %q, want %s", got.Field, tt.field)
			}
		})
	}
}

func TestAStoreHasACodeToPrint(t *testing.T) {
	books := moneytest.New(t)
	here, there := serve(t, books), serve(t, books)
	s := open(t, books, here, "batavia")
	req := &merchantv1.CreateStoreRequest{IdempotencyKey: "menteng", MerchantId: s.id, Name: "Menteng", City: "Jakarta Pusat"}
	made := make([]*merchantv1.Store, 8)
	together(len(made), func(i int) {
		res, err := []replica{here, there}[i%2].as(s.manager).CreateStore(t.Context(), req)
		if err != nil {
			t.Errorf("create a store: %v", err)
		}
		made[i] = res.GetStore()
	})
	for _, m := range made {
		if !proto.Equal(m, made[0]) {
			t.Fatalf("one key made %v and %v", made[0], m)
		}
	}
	code, err := qr.Parse(made[0].GetQrText())
	want := qr.Code{Store: made[0].GetStoreId(), Category: "5814", Currency: "360", Country: "ID", Merchant: "Cafe Batavia", City: "Jakarta Pusat"}
	if err != nil || code != want {
		t.Errorf("the code says %+v, %v; want %+v", code, err, want)
	}
	again := proto.CloneOf(req)
	again.Name = "Another"
	_, err = here.as(s.manager).CreateStore(t.Context(), again)
	moneytest.WantRefusal(t, err, "IDEMPOTENCY_KEY_REUSED")
	again.IdempotencyKey, again.Name = "blank", " "
	_, err = here.as(s.manager).CreateStore(t.Context(), again)
	moneytest.WantRefusal(t, err, "INVALID_ARGUMENT")

	var listed []*merchantv1.Store
	list := &merchantv1.ListStoresRequest{MerchantId: s.id, PageSize: 1}
	for {
		res, err := there.as(s.cashier).ListStores(t.Context(), list)
		if err != nil {
			t.Fatal(err)
		}
		listed = append(listed, res.GetStores()...)
		if list.PageToken = res.GetNextPageToken(); list.PageToken == "" {
			break
		}
	}
	if len(listed) != 2 || !proto.Equal(listed[0], made[0]) || listed[1].GetCity() != "Jakarta" {
		t.Errorf("the stores are %v", listed)
	}
}

func TestTheScheduleIsTheOwners(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	s := open(t, books, r, "batavia")
	set := &merchantv1.SetSettlementScheduleRequest{MerchantId: s.id, SettlementSchedule: &merchantv1.SettlementSchedule{
		Interval: merchantv1.SettlementInterval_SETTLEMENT_INTERVAL_WEEKLY, Weekday: 5, MinuteOfDay: 60,
	}}
	_, err := r.as(s.manager).SetSettlementSchedule(t.Context(), set)
	moneytest.WantRefusal(t, err, "PERMISSION_DENIED")
	res, err := r.as(s.owner).SetSettlementSchedule(t.Context(), set)
	if err != nil || !proto.Equal(res.GetMerchant().GetSettlementSchedule(), set.GetSettlementSchedule()) {
		t.Errorf("got %v, %v", res, err)
	}
	set.SettlementSchedule.Weekday = 0
	_, err = r.as(s.owner).SetSettlementSchedule(t.Context(), set)
	moneytest.WantRefusal(t, err, "SCHEDULE_INVALID")
	set.MerchantId = id.Format(id.Merchant, id.New())
	_, err = r.as(s.owner).SetSettlementSchedule(t.Context(), set)
	moneytest.WantRefusal(t, err, "NOT_FOUND")
}
