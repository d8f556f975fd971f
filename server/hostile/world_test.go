package hostile

import (
	"context"
	"crypto/ed25519"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/gen/tillbook/auth/v1/authv1connect"
	limitv1 "github.com/tillbook/tillbook/gen/tillbook/limit/v1"
	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/gen/tillbook/terminal/v1/terminalv1connect"
	"github.com/tillbook/tillbook/sdk"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/storetest"
)

// world is a database with two merchants: one whose things are the prize, and one
// whose people want them.
type world struct {
	url      string
	operator string // key
	// prize are the ids of what belongs to the first, by their prefix.
	prize map[string]string
	// own is what belongs to the second.
	own map[string]string
	// names are what else gives the first away.
	names []string
	// callers are everybody else, by what they are.
	callers map[string]caller
	// bystander is somebody whom anybody may pay.
	bystander string
	// replica is where they try.
	replica *replica
}

// shop is a merchant with a store, a terminal and its device.
type shop struct {
	owner                     *customer
	merchant, store, terminal string
	device                    *device
}

// newWorld makes it on a database, through a sandbox.
func newWorld(t testing.TB, url string, maker *replica) *world {
	t.Helper()
	w := &world{url: url, prize: map[string]string{}, own: map[string]string{}, callers: map[string]caller{}}
	_, key, err := storetest.Open(t, store.Config{URL: url, Role: store.NoRole, MaxConns: 1}).CreateOperator(t.Context(), "ops")
	must(t, err)
	w.operator = key
	vera, ben := maker.customer(t, "vera"), maker.customer(t, "ben")
	w.bystander = ben.username
	w.names = []string{vera.username, vera.phone}
	w.prize["usr"] = vera.id
	w.fillPrize(t, maker, maker.shop(t, vera), ben)

	theirs := maker.shop(t, maker.customer(t, "olga"))
	w.own["mer"], w.own["sto"], w.own["trm"] = theirs.merchant, theirs.store, theirs.terminal
	gone := maker.customer(t, "gone")
	lost := gone.token()
	must(t, gone.client.Auth.Logout(t.Context()))
	revoked := maker.device(t, theirs)
	_, err = theirs.owner.client.Terminals.Revoke(t.Context(), theirs.merchant, revoked.terminal)
	must(t, err)
	bearer := func(token string) caller { return caller{credentials: "Bearer " + token} }
	w.callers["nobody"] = caller{}
	w.callers["somebody who signed out"] = bearer(lost)
	w.callers["a user"] = bearer(maker.customer(t, "mallory").token())
	w.callers["another user"] = bearer(maker.customer(t, "eve").token())
	w.callers["another merchant's owner"] = bearer(theirs.owner.token())
	w.callers["another merchant's manager"] = bearer(theirs.hire(t, maker, merchantv1.Role_ROLE_MANAGER).token())
	w.callers["another merchant's cashier"] = bearer(theirs.hire(t, maker, merchantv1.Role_ROLE_CASHIER).token())
	w.callers["an operator"] = bearer(w.operator)
	w.callers["another merchant's terminal"] = caller{device: theirs.device}
	w.callers["a revoked terminal"] = caller{device: revoked}
	return w
}

func usd(amount string) *tillbook.CreateCheckoutRequest {
	return &tillbook.CreateCheckoutRequest{Amount: tillbook.MustMoney(amount + " USD").Proto()}
}

func (r *replica) shop(t testing.TB, owner *customer) *shop {
	t.Helper()
	s := &shop{owner: owner}
	m, err := owner.client.Merchants.Create(t.Context(), &tillbook.CreateMerchantRequest{
		IdempotencyKey: uuid.NewString(), Name: "Kopi " + owner.username, Country: "ID", City: "Bandung", TimeZone: "Asia/Jakarta"})
	must(t, err)
	s.merchant = m.GetMerchantId()
	store, err := owner.client.Merchants.CreateStore(t.Context(), &tillbook.CreateStoreRequest{
		IdempotencyKey: uuid.NewString(), MerchantId: s.merchant, Name: "Braga", City: "Bandung"})
	must(t, err)
	s.store = store.GetStoreId()
	s.device = r.device(t, s)
	s.terminal = s.device.terminal
	return s
}

// device adds a terminal to a shop and activates it.
func (r *replica) device(t testing.TB, s *shop) *device {
	t.Helper()
	made, err := s.owner.client.Terminals.Create(t.Context(), &tillbook.CreateTerminalRequest{
		IdempotencyKey: uuid.NewString(), MerchantId: s.merchant, StoreId: s.store, Name: "Counter"})
	must(t, err)
	_, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	got := call(t.Context(), t, plainClient, r, caller{}, terminalv1connect.TerminalServiceActivateProcedure,
		activateRequest(key, made.GetActivationCode()), &terminalv1.ActivateResponse{})
	if got != "" {
		t.Fatal(got)
	}
	return &device{made.GetTerminal().GetTerminalId(), key}
}

// hire makes somebody one of the shop's staff.
func (s *shop) hire(t testing.TB, r *replica, role merchantv1.Role) *customer {
	t.Helper()
	c := r.customer(t, "staff")
	invitation := s.invite(t, c, role)
	_, err := c.client.Merchants.Accept(t.Context(), invitation)
	must(t, err)
	return c
}

func (s *shop) invite(t testing.TB, c *customer, role merchantv1.Role) string {
	t.Helper()
	invitation, err := s.owner.client.Merchants.Invite(t.Context(), &tillbook.InviteStaffRequest{
		IdempotencyKey: uuid.NewString(), MerchantId: s.merchant, PhoneNumber: c.phone, Role: role})
	must(t, err)
	return invitation.GetInvitationId()
}

// fillPrize makes one of everything that has an id.
func (w *world) fillPrize(t testing.TB, r *replica, s *shop, ben *customer) {
	t.Helper()
	ctx, vera := t.Context(), s.owner
	w.prize["mer"], w.prize["sto"], w.prize["trm"] = s.merchant, s.store, s.terminal
	paid, err := vera.client.Wallet.Transfer(ctx, &tillbook.TransferRequest{IdempotencyKey: "prize",
		Recipient: tillbook.ToUsername(ben.username), Amount: tillbook.MustMoney("3 USD").Proto()})
	must(t, err)
	w.prize["txn"] = paid.GetTransactionId()
	request, err := vera.client.Wallet.RequestPayment(ctx, &tillbook.CreatePaymentRequestRequest{IdempotencyKey: "prize",
		Payer: tillbook.ToUsername(ben.username), Amount: tillbook.MustMoney("3 USD").Proto()})
	must(t, err)
	w.prize["prq"] = request.GetPaymentRequestId()
	sale := usd("5")
	sale.IdempotencyKey, sale.MerchantId, sale.StoreId = "prize", s.merchant, s.store
	checkout, err := vera.client.Merchants.Sell(ctx, sale)
	must(t, err)
	w.prize["chk"] = checkout.GetCheckoutId()
	_, _, err = ben.client.Wallet.PayCheckout(ctx, &tillbook.PayCheckoutRequest{IdempotencyKey: "prize", CheckoutId: checkout.GetCheckoutId()})
	must(t, err)
	shift, err := vera.client.Merchants.OpenShift(ctx, &tillbook.OpenShiftRequest{IdempotencyKey: "prize", MerchantId: s.merchant, StoreId: s.store})
	must(t, err)
	w.prize["shf"] = shift.GetShiftId()
	w.prize["inv"] = s.invite(t, ben, merchantv1.Role_ROLE_CASHIER)
	for session, err := range vera.client.Auth.Sessions(ctx) {
		must(t, err)
		w.prize["ses"] = session.GetSessionId()
	}
	reset := &authv1.StartPasswordResetResponse{}
	if got := call(ctx, t, plainClient, r, caller{}, authv1connect.AuthServiceStartPasswordResetProcedure,
		&authv1.StartPasswordResetRequest{PhoneNumber: vera.phone}, reset); got != "" {
		t.Fatal(got)
	}
	w.prize["chl"] = reset.GetChallenge().GetChallengeId()
	w.fillOperators(t, r, vera)
	settlement := id.New()
	w.exec(t, `INSERT INTO settlements SELECT $1, merchant_id, 1, 1, 1, 2, 1, 0, 5, 0, 0, 0, 5, now() FROM stores WHERE id = $2`,
		settlement, parsed(t, id.Store, s.store))
	w.prize["stl"] = id.Format(id.Settlement, settlement)
}

// fillOperators makes what only operators make.
func (w *world) fillOperators(t testing.TB, r *replica, vera *customer) {
	t.Helper()
	ops, err := tillbook.New("http://"+r.http, tillbook.WithOperatorKey(w.operator))
	must(t, err)
	t.Cleanup(ops.Close)
	hold, err := ops.Ledger.CreateHold(t.Context(), &tillbook.CreateHoldRequest{IdempotencyKey: "prize",
		Account: "user/" + vera.id + "/main/USD", Amount: tillbook.MustMoney("1 USD").Proto()})
	must(t, err)
	w.prize["hld"] = hold.GetHoldId()
	limit, err := ops.Limits.Set(t.Context(), &tillbook.Limit{Scope: &limitv1.Scope{Scope: &limitv1.Scope_UserId{UserId: vera.id}}, Asset: "USD",
		Measure: limitv1.Measure_MEASURE_COUNT, Direction: limitv1.Direction_DIRECTION_OUTGOING, Period: limitv1.Period_PERIOD_DAY,
		TimeZone: "UTC", Maximum: &limitv1.Limit_MaximumCount{MaximumCount: 1000}})
	must(t, err)
	w.prize["lim"] = limit.GetLimitId()
	w.prize["opr"] = id.Format(id.Operator, w.query(t, "SELECT id FROM operators")[0])
}

func parsed(t testing.TB, prefix id.Prefix, text string) uuid.UUID {
	t.Helper()
	u, err := id.Parse(prefix, text)
	must(t, err)
	return u
}

func (w *world) connect(t testing.TB) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), w.url)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func (w *world) exec(t testing.TB, statement string, args ...any) {
	t.Helper()
	_, err := w.connect(t).Exec(t.Context(), statement, args...)
	must(t, err)
}

func (w *world) query(t testing.TB, statement string) []uuid.UUID {
	t.Helper()
	rows, err := w.connect(t).Query(t.Context(), statement)
	must(t, err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	must(t, err)
	return ids
}
