package tillbook_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	userv1 "github.com/tillbook/tillbook/gen/tillbook/user/v1"
	tillbook "github.com/tillbook/tillbook/sdk"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/ledger"
	"github.com/tillbook/tillbook/store/storetest"
)

// desk returns an operator's client of the server at the address.
func desk(t *testing.T, database, address string) *tillbook.Client {
	t.Helper()
	owner := storetest.Open(t, store.Config{URL: database, Role: store.NoRole})
	_, key, err := owner.CreateOperator(t.Context(), "olga")
	if err != nil {
		t.Fatal(err)
	}
	client, err := tillbook.New("http://"+address, tillbook.WithOperatorKey(key))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// actions lists what was recorded, newest first.
func actions(t *testing.T, c *tillbook.Client, filter *tillbook.ListRecordsRequest) (list []string) {
	t.Helper()
	for r, err := range c.Audit.Records(t.Context(), filter) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, r.GetAction())
	}
	return list
}

func userID(t *testing.T, c *tillbook.Client) string {
	t.Helper()
	me, err := c.Auth.Me(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return me.GetUserId()
}

func byUserID(user string) *tillbook.GetUserRequest {
	return &tillbook.GetUserRequest{User: &userv1.GetUserRequest_UserId{UserId: user}}
}

func TestOperatorsRaiseTiersAndSeeWhoDidWhat(t *testing.T) {
	database := storetest.NewDatabase(t)
	address, _ := startServer(t, database, "127.0.0.1:0")
	olga := desk(t, database, address)
	maya := userID(t, member(t, address, "maya", "+62 812 2000 0021"))
	ctx := t.Context()

	_, err := olga.Users.SetTier(ctx, &tillbook.SetTierRequest{UserId: maya, Tier: 2, Reason: "passport seen"})
	if !errors.Is(err, tillbook.ReasonInvalidArgument) {
		t.Errorf("a tier without evidence: %v", err)
	}
	for range 2 { // again does no harm
		user, err := olga.Users.SetTier(ctx, &tillbook.SetTierRequest{
			UserId: maya, Tier: 2, EvidenceReference: "file 77", Reason: "passport seen",
		})
		if err != nil || user.GetTier() != 2 {
			t.Fatalf("got %v, %v", user, err)
		}
	}
	user, err := olga.Users.SetTier(ctx, &tillbook.SetTierRequest{UserId: maya, Tier: 0, Reason: "forged"})
	if err != nil || user.GetTier() != 0 || user.GetUsername() != "maya" || user.GetPhoneNumber() != "+6281220000021" {
		t.Fatalf("got %v, %v", user, err)
	}

	filter := &tillbook.ListRecordsRequest{Subject: "user/" + maya, ActionPrefix: "tier.", PageSize: 1}
	if got := actions(t, olga, filter); len(got) != 3 {
		t.Errorf("recorded %q, want three changes of the tier", got)
	}
	for r, err := range olga.Audit.Records(ctx, filter) {
		if err != nil {
			t.Fatal(err)
		}
		details := r.GetDetails().AsMap()
		if details["before"] != 2.0 || details["after"] != 0.0 || details["reason"] != "forged" ||
			r.GetActorKind() != "operator" || r.GetClientIp() != "127.0.0.1" || r.GetRequestId() == "" {
			t.Errorf("recorded %v", r)
		}
		break
	}
	calls := actions(t, olga, &tillbook.ListRecordsRequest{ActionPrefix: "rpc.tillbook.user.v1."})
	if want := slices.Repeat([]string{"rpc.tillbook.user.v1.UserService/SetTier"}, 4); !slices.Equal(calls, want) {
		t.Errorf("recorded %q, want %q", calls, want)
	}
	mine := &tillbook.ListRecordsRequest{ActorId: maya, PageSize: 1}
	if got, want := actions(t, olga, mine), []string{"session.started", "device.added", "user.registered"}; !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
	future := &tillbook.ListRecordsRequest{StartTime: timestamppb.New(time.Now().Add(time.Hour))}
	if got := actions(t, olga, future); len(got) > 0 {
		t.Errorf("recorded %q in the future", got)
	}
	// The database can't even be asked for this one.
	nobody := &tillbook.GetUserRequest{User: &userv1.GetUserRequest_Username{Username: "maya\x00"}}
	if _, err := olga.Users.Get(ctx, nobody); !errors.Is(err, tillbook.ReasonInvalidArgument) {
		t.Errorf("a name with a NUL: %v", err)
	}
}

// TestAnErasedPersonIsNowhereAndTheBooksStand looks for what named them in all that
// the database holds.
func TestAnErasedPersonIsNowhereAndTheBooksStand(t *testing.T) {
	database := storetest.NewDatabase(t)
	address, _ := startServer(t, database, "127.0.0.1:0")
	olga := desk(t, database, address)
	gone := member(t, address, "Quetzalina", "+62 812 2000 0031", "5 USD")
	kept := member(t, address, "rudi", "+62 812 2000 0032", "1 USD")
	ctx := t.Context()
	goneID := userID(t, gone)
	erase := &tillbook.EraseUserRequest{UserId: goneID, Reason: "asked for it"}

	if _, err := olga.Users.Erase(ctx, erase); !errors.Is(err, tillbook.ReasonUserHasFunds) {
		t.Fatalf("with funds: %v", err)
	}
	pay := func(from *tillbook.Client, key, to, amount, note string) error {
		_, err := from.Wallet.Transfer(ctx, &tillbook.TransferRequest{
			IdempotencyKey: key, Recipient: tillbook.ToUsername(to), Amount: tillbook.MustMoney(amount).Proto(), Note: note,
		})
		return err
	}
	if err := errors.Join(pay(kept, "a", "Quetzalina", "1 USD", "xylophone one"), pay(gone, "b", "rudi", "6 USD", "xylophone two")); err != nil {
		t.Fatal(err)
	}
	marks := []string{"81220000031", "quetzalina", "xylophone"}
	dumped := dump(t, database)
	for _, mark := range marks {
		if !strings.Contains(dumped, mark) {
			t.Fatalf("%q isn't found while it is there", mark)
		}
	}
	if n, err := olga.Users.Erase(ctx, erase); err != nil || n != 2 {
		t.Fatalf("erased %d texts, %v", n, err)
	}
	if n, err := olga.Users.Erase(ctx, erase); err != nil || n != 0 {
		t.Errorf("again: erased %d texts, %v", n, err)
	}
	dumped = dump(t, database)
	for _, mark := range marks {
		if at := strings.Index(dumped, mark); at >= 0 {
			t.Errorf("%q is still there: …%s…", mark, dumped[max(at-100, 0):min(at+60, len(dumped))])
		}
	}
	if err := pay(kept, "c", "Quetzalina", "1 USD", ""); !errors.Is(err, tillbook.ReasonRecipientNotFound) {
		t.Errorf("paying the erased: %v", err)
	}
	if _, err := olga.Users.Get(ctx, byUserID(goneID)); !errors.Is(err, tillbook.ReasonNotFound) {
		t.Errorf("getting the erased: %v", err)
	}
	wantVerified(t, database)
}

// dump returns all tables as text, in small letters.
func dump(t *testing.T, database string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	rows, _ := conn.Query(t.Context(), "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, table := range tables {
		if _, err := conn.PgConn().CopyTo(t.Context(), &b, "COPY "+pgx.Identifier{table}.Sanitize()+" TO STDOUT"); err != nil {
			t.Fatal(err)
		}
	}
	return strings.ToLower(b.String())
}

func wantVerified(t *testing.T, database string) {
	t.Helper()
	s := storetest.Open(t, store.Config{URL: database})
	report, err := ledger.Verify(t.Context(), s.Pool, ledger.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range report.Problems {
		t.Errorf("the books are wrong: %s: %s: %s", p.Rule, p.Subject, p.Detail)
	}
}
