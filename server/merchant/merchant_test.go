package merchant_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	"github.com/tillbook/tillbook/server/checkout"
	"github.com/tillbook/tillbook/server/merchant"
	"github.com/tillbook/tillbook/server/money/moneytest"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/store/id"
)

type client = merchantv1connect.MerchantServiceClient

// replica is a server with a merchant service and its settler.
type replica struct {
	*moneytest.Replica
	settler *merchant.Settler
	desk    *checkout.Desk
}

func serve(t testing.TB, books *moneytest.Books) replica {
	t.Helper()
	return serveWith(t, books, merchant.WatchConfig{Heartbeat: time.Hour, PollInterval: 5 * time.Millisecond})
}

func serveWith(t testing.TB, books *moneytest.Books, watch merchant.WatchConfig) replica {
	t.Helper()
	r := replica{Replica: books.Replica(t)}
	r.desk = checkout.New(checkout.Deps{Store: r.Store, Ledger: r.Ledger, Key: secret.Fixed([]byte("a key of the tests"))})
	service := merchant.New(merchant.Deps{
		Store: r.Store, Ledger: r.Ledger, Checkouts: r.desk, Limiter: r.Limiter, Watch: watch,
	})
	merchantv1connect.RegisterMerchantServiceHandler(r.Server, service)
	ctx, stop := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { service.Run(ctx) })
	t.Cleanup(func() { stop(); ended.Wait() })
	r.settler = merchant.NewSettler(merchant.SettlerConfig{Store: r.Store, Ledger: r.Ledger})
	return r
}

func (r replica) as(u moneytest.User) client {
	return merchantv1connect.NewMerchantServiceClient(r.As(u.Principal()))
}

func (r replica) asOperator() client {
	return merchantv1connect.NewMerchantServiceClient(r.As(rpc.Principal{Kind: rpc.KindOperator, Operator: id.New()}))
}

func (r replica) settle(t testing.TB) {
	t.Helper()
	if err := r.settler.Settle(t.Context()); err != nil {
		t.Fatalf("settle: %v", err)
	}
}

// shop is a merchant with a store and one of each role.
type shop struct {
	id, store               string
	owner, manager, cashier moneytest.User
}

func (s shop) uuid(t testing.TB) uuid.UUID { return mustParse(t, id.Merchant, s.id) }

func mustParse(t testing.TB, p id.Prefix, text string) uuid.UUID {
	t.Helper()
	u, err := id.Parse(p, text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// create is a request for a merchant in Jakarta.
func create(key string) *merchantv1.CreateMerchantRequest {
	return &merchantv1.CreateMerchantRequest{
		IdempotencyKey: key, Name: "Café Batavia", Country: "ID", City: "Jakarta", CategoryCode: "5814", TimeZone: "Asia/Jakarta",
	}
}

func mustCreate(t testing.TB, c client, req *merchantv1.CreateMerchantRequest) *merchantv1.Merchant {
	t.Helper()
	res, err := c.CreateMerchant(t.Context(), req)
	if err != nil {
		t.Fatalf("create a merchant: %v", err)
	}
	return res.GetMerchant()
}

// open makes a shop whose people have the name in theirs.
func open(t testing.TB, books *moneytest.Books, r replica, name string) shop {
	t.Helper()
	s := shop{owner: books.User(t, name+"_owner"), manager: books.User(t, name+"_manager"), cashier: books.User(t, name+"_cashier")}
	s.id = mustCreate(t, r.as(s.owner), create("shop")).GetMerchantId()
	s.store = mustAddStore(t, r.as(s.owner), s.id, "Kota").GetStoreId()
	hire(t, r, s, s.manager, merchantv1.Role_ROLE_MANAGER)
	hire(t, r, s, s.cashier, merchantv1.Role_ROLE_CASHIER)
	return s
}

func mustAddStore(t testing.TB, c client, merchantID, name string) *merchantv1.Store {
	t.Helper()
	res, err := c.CreateStore(t.Context(), &merchantv1.CreateStoreRequest{IdempotencyKey: "store-" + name, MerchantId: merchantID, Name: name})
	if err != nil {
		t.Fatalf("create a store: %v", err)
	}
	return res.GetStore()
}

// invite is an invitation of a user as a role.
func invite(key string, s shop, u moneytest.User, role merchantv1.Role) *merchantv1.InviteStaffRequest {
	return &merchantv1.InviteStaffRequest{IdempotencyKey: key, MerchantId: s.id, PhoneNumber: u.Phone, Role: role}
}

func mustInvite(t testing.TB, c client, req *merchantv1.InviteStaffRequest) *merchantv1.Invitation {
	t.Helper()
	res, err := c.InviteStaff(t.Context(), req)
	if err != nil {
		t.Fatalf("invite: %v", err)
	}
	return res.GetInvitation()
}

func accept(t testing.TB, c client, invitation string) (*merchantv1.Merchant, error) {
	t.Helper()
	res, err := c.AcceptInvitation(t.Context(), &merchantv1.AcceptInvitationRequest{InvitationId: invitation})
	return res.GetMerchant(), err
}

func hire(t testing.TB, r replica, s shop, u moneytest.User, role merchantv1.Role) {
	t.Helper()
	made := mustInvite(t, r.as(s.owner), invite("hire-"+u.Username, s, u, role))
	if _, err := accept(t, r.as(u), made.GetInvitationId()); err != nil {
		t.Fatalf("accept: %v", err)
	}
}

// members are who works for a shop, as "name:role" the newest first.
func members(t testing.TB, c client, s shop) string {
	t.Helper()
	var list []string
	req := &merchantv1.ListStaffRequest{MerchantId: s.id, PageSize: 2}
	for {
		res, err := c.ListStaff(t.Context(), req)
		if err != nil {
			t.Fatalf("list staff: %v", err)
		}
		for _, m := range res.GetStaff() {
			list = append(list, fmt.Sprintf("%s:%s", m.GetUserId(), strings.TrimPrefix(m.GetRole().String(), "ROLE_")))
		}
		if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
			return strings.Join(list, " ")
		}
	}
}

// amount reads "12.50 USD".
func amount(text string) *moneyv1.Money {
	decimal, asset, _ := strings.Cut(text, " ")
	return &moneyv1.Money{Asset: asset, Amount: decimal}
}

func text(m *moneyv1.Money) string { return m.GetAmount() + " " + m.GetAsset() }

// together runs f n times at once.
func together(n int, f func(i int)) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	all.Wait()
}

// execute changes the database as its superuser.
func execute(t testing.TB, books *moneytest.Books, sql string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), books.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}
