package server

import (
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/jackc/pgx/v5"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/store/storetest"
)

// trouble has what writes to a table fail with the SQLSTATE that table trouble names,
// as PostgreSQL says it when a disk is full (53100) or broken (58030): in the statement,
// or not before the COMMIT.
const trouble = `
CREATE TABLE trouble (code text, late boolean);
GRANT SELECT ON trouble TO PUBLIC;
CREATE FUNCTION make_trouble() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE c text := (SELECT code FROM public.trouble WHERE late = (TG_LEVEL = 'ROW'));
BEGIN
	IF c IS NOT NULL THEN
		RAISE EXCEPTION 'could not extend file "base/16384/16397": No space left on device' USING ERRCODE = c;
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER trouble BEFORE INSERT ON challenges EXECUTE FUNCTION make_trouble();
CREATE TRIGGER trouble BEFORE INSERT ON payment_requests EXECUTE FUNCTION make_trouble();
CREATE TRIGGER trouble BEFORE INSERT ON resolutions EXECUTE FUNCTION make_trouble();
CREATE CONSTRAINT TRIGGER trouble_late AFTER INSERT ON resolutions DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION make_trouble()`

// TestADatabaseWithoutRoomIsUnavailable asks for what is written past the ledger, which
// has its own way of telling.
func TestADatabaseWithoutRoomIsUnavailable(t *testing.T) {
	url := storetest.URL(storetest.New(t))
	r := startReplica(t, url)
	s := newStory(t, h2cClient(t), "http://"+r.GRPCAddr(), connecthttp.WithGRPC())
	ann, bob := s.register("+6281234567861", "ann"), s.register("+6281234567862", "bob")
	cancel := pending(t, s, r, ann)
	owner, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(t.Context())
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := owner.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(trouble)
	calls := map[string]func() error{
		"Register": func() error {
			_, err := s.auth.Register(t.Context(), &authv1.RegisterRequest{
				PhoneNumber: "+6281234567863", Username: "cora", Password: "correct horse", DeviceName: "test",
			})
			return err
		},
		"CreatePaymentRequest": func() error {
			_, err := s.wallet.CreatePaymentRequest(s.as(ann.token), &walletv1.CreatePaymentRequestRequest{
				IdempotencyKey: "tea", Amount: usd("3"), Payer: &walletv1.Recipient{Recipient: &walletv1.Recipient_UserId{UserId: bob.id}},
			})
			return err
		},
		"CancelCheckout": func() error {
			return cancel()
		},
	}
	expect := func(name, reason string, outcome errorv1.Outcome) {
		t.Helper()
		f := connectFailure(t, calls[name](), "")
		if f.code != connect.CodeUnavailable || f.reason() != reason || f.outcome != outcome || f.retry.GetRetryDelay().AsDuration() <= 0 {
			t.Errorf("%s: %s %s %s, retry %v; want %s %s", name, f.code, f.reason(), f.outcome, f.retry, reason, outcome)
		}
		if strings.Contains(f.message, "space") || strings.Contains(f.message, "base/") {
			t.Errorf("%s tells %q", name, f.message)
		}
	}
	for _, code := range []string{"53100", "58030"} {
		exec(`TRUNCATE trouble`)
		exec(`INSERT INTO trouble VALUES ($1, false)`, code)
		expect("Register", "UNAVAILABLE", errorv1.Outcome_OUTCOME_UNSPECIFIED)
		expect("CreatePaymentRequest", "UNAVAILABLE", errorv1.Outcome_OUTCOME_UNSPECIFIED)
		expect("CancelCheckout", "UNAVAILABLE", errorv1.Outcome_OUTCOME_NOT_EXECUTED)
		exec(`UPDATE trouble SET late = true`)
		expect("CancelCheckout", "OUTCOME_UNKNOWN", errorv1.Outcome_OUTCOME_UNKNOWN)
	}
	exec(`TRUNCATE trouble`)
	for name, call := range calls {
		if err := call(); err != nil {
			t.Errorf("there is room again, but %s: %v", name, err)
		}
	}
}

// pending opens a shop and makes a sale that nobody has paid. What it returns cancels
// that.
func pending(t *testing.T, s *story, r *replica, owner person) (cancel func() error) {
	t.Helper()
	shop := merchantv1connect.NewMerchantServiceClient(connect.NewClient(connecthttp.NewTransport(&http.Client{}, "http://"+r.Addr())))
	merchant, err := shop.CreateMerchant(s.as(owner.token), &merchantv1.CreateMerchantRequest{
		IdempotencyKey: "m", Name: "Kopi", Country: "ID", City: "Bandung", TimeZone: "Asia/Jakarta",
	})
	if err != nil {
		t.Fatal(err)
	}
	id := merchant.GetMerchant().GetMerchantId()
	store, err := shop.CreateStore(s.as(owner.token), &merchantv1.CreateStoreRequest{IdempotencyKey: "s", MerchantId: id, Name: "Braga"})
	if err != nil {
		t.Fatal(err)
	}
	sale, err := shop.CreateCheckout(s.as(owner.token), &merchantv1.CreateCheckoutRequest{
		IdempotencyKey: "c", MerchantId: id, StoreId: store.GetStore().GetStoreId(), Amount: usd("4.50"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return func() error {
		_, err := shop.CancelCheckout(s.as(owner.token), &merchantv1.CancelCheckoutRequest{
			MerchantId: id, CheckoutId: sale.GetCheckout().GetCheckoutId(),
		})
		return err
	}
}
