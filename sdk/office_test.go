package tillbook_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"google.golang.org/protobuf/proto"

	limitv1 "github.com/tillbook/tillbook/gen/tillbook/limit/v1"
	userv1 "github.com/tillbook/tillbook/gen/tillbook/user/v1"
	tillbook "github.com/tillbook/tillbook/sdk"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/storetest"
)

// office is a running server with an operator.
type office struct {
	address, database string
	operator          *tillbook.Client
}

func openOffice(t *testing.T) *office {
	t.Helper()
	o := &office{database: storetest.NewDatabase(t)}
	o.address, _ = startServer(t, o.database, "127.0.0.1:0")
	owner := storetest.Open(t, store.Config{URL: o.database, Role: store.NoRole})
	_, key, err := owner.CreateOperator(t.Context(), "olga")
	if err != nil {
		t.Fatal(err)
	}
	if o.operator, err = tillbook.New("http://"+o.address, tillbook.WithOperatorKey(key)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.operator.Close)
	return o
}

func (o *office) verify(t *testing.T) {
	t.Helper()
	proof, err := o.operator.Ledger.Verify(t.Context())
	if err != nil || !proof.GetOk() {
		t.Errorf("the books are not right: %v, %v", proof, err)
	}
}

func pay(t *testing.T, payer *tillbook.Client, to, amount, note string) *tillbook.Transaction {
	t.Helper()
	paid, err := payer.Wallet.Transfer(t.Context(), &tillbook.TransferRequest{
		Recipient: tillbook.ToUsername(to), Amount: tillbook.MustMoney(amount).Proto(), Note: note,
	})
	if err != nil {
		t.Fatal(err)
	}
	return paid
}

func TestAReceiptIsVerifiedWithThePublicKeyAlone(t *testing.T) {
	o := openOffice(t)
	ann := member(t, o.address, "ann", "+62 812 3000 0001", "100 USD")
	bob := member(t, o.address, "bob", "+62 812 3000 0002")
	paid := pay(t, ann, "bob", "12.50 USD", "Lunch")
	receipt, err := ann.Wallet.Receipt(t.Context(), paid.GetTransactionId())
	if err != nil {
		t.Fatal(err)
	}
	first, err := ann.Seal.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	key := first.GetVerifierKey()
	v, err := tillbook.VerifyReceipt(receipt, key)
	if err != nil {
		t.Fatal(err)
	}
	if v.TransactionID != paid.GetTransactionId() || v.Kind != "transfer" || v.Note != "Lunch" || !v.Shown || len(v.Entries) != 2 ||
		v.Entries[0].Amount != "-1250" || v.Entries[1].Amount != "1250" || v.Entries[0].Asset != "USD" ||
		!v.Time.Equal(paid.GetCreateTime().AsTime()) {
		t.Errorf("the receipt proves %+v of %v", v, paid)
	}
	if strings.Contains(string(receipt.GetLeaf()), "Lunch") {
		t.Error("the note stands in the sealed bytes")
	}
	other := openOffice(t)
	foreign, err := other.operator.Seal.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, forge := range map[string]func(r *tillbook.Receipt){
		"another leaf":        func(r *tillbook.Receipt) { r.Leaf = []byte(strings.Replace(string(r.Leaf), "1250", "9250", 2)) },
		"another place":       func(r *tillbook.Receipt) { r.LeafIndex++ },
		"a place beyond":      func(r *tillbook.Receipt) { r.LeafIndex = 1 << 40 },
		"another proof":       func(r *tillbook.Receipt) { r.Proof = append(r.Proof, make([]byte, 32)) },
		"a short hash":        func(r *tillbook.Receipt) { r.Proof = append(r.Proof, []byte{1}) },
		"another log's":       func(r *tillbook.Receipt) { r.Checkpoint = foreign.GetCheckpoint() },
		"no checkpoint":       func(r *tillbook.Receipt) { r.Checkpoint = "" },
		"a changed head":      func(r *tillbook.Receipt) { r.Checkpoint = strings.Replace(r.Checkpoint, "\n", "\n1", 1) },
		"another note":        func(r *tillbook.Receipt) { r.Opening.Note = "Dinner" },
		"another salt":        func(r *tillbook.Receipt) { r.Opening.Salt[0]++ },
		"a note that shifted": func(r *tillbook.Receipt) { r.Opening.Note, r.Opening.Details = "Lun", "ch" },
	} {
		forged := proto.CloneOf(receipt)
		forge(forged)
		if v, err := tillbook.VerifyReceipt(forged, key); !errors.Is(err, tillbook.ErrNotProven) {
			t.Errorf("%s: %+v, %v; want ErrNotProven", name, v, err)
		}
	}
	if _, err := bob.Wallet.Receipt(t.Context(), paid.GetTransactionId()); err != nil {
		t.Errorf("who was paid gets no receipt: %v", err)
	}
	eve := member(t, o.address, "eve", "+62 812 3000 0003")
	if _, err := eve.Wallet.Receipt(t.Context(), paid.GetTransactionId()); !errors.Is(err, tillbook.ReasonNotFound) {
		t.Errorf("a stranger got %v, want NOT_FOUND", err)
	}
	if _, err := o.operator.Ledger.Receipt(t.Context(), paid.GetTransactionId()); err != nil {
		t.Errorf("an operator gets no receipt: %v", err)
	}
	o.verify(t)
}

func TestTwoCheckpointsProveThatTheLogOnlyGrew(t *testing.T) {
	o := openOffice(t)
	ann := member(t, o.address, "ann", "+62 812 3000 0001", "100 USD")
	member(t, o.address, "bob", "+62 812 3000 0002")
	sealed := func(id string) string {
		receipt, err := ann.Wallet.Receipt(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return receipt.GetCheckpoint()
	}
	older := sealed(pay(t, ann, "bob", "1 USD", "").GetTransactionId())
	newer := sealed(pay(t, ann, "bob", "2 USD", "").GetTransactionId())
	now, err := ann.Seal.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	key := now.GetVerifierKey()
	oldSize, err := tillbook.CheckpointSize(older, key)
	if err != nil {
		t.Fatal(err)
	}
	newSize, err := tillbook.CheckpointSize(newer, key)
	if err != nil || newSize <= oldSize {
		t.Fatalf("sizes %d and %d, %v", oldSize, newSize, err)
	}
	proof, err := ann.Seal.Consistency(t.Context(), oldSize, newSize)
	if err != nil {
		t.Fatal(err)
	}
	if err := tillbook.VerifyConsistency(older, newer, proof, key); err != nil {
		t.Error(err)
	}
	if err := tillbook.VerifyConsistency(newer, older, proof, key); !errors.Is(err, tillbook.ErrNotProven) {
		t.Errorf("the other way round: %v", err)
	}
	if err := tillbook.VerifyConsistency(older, newer, proof[:0], key); !errors.Is(err, tillbook.ErrNotProven) {
		t.Errorf("without a proof: %v", err)
	}
	if _, err := ann.Seal.Consistency(t.Context(), 1, newSize+1000); !errors.Is(err, tillbook.ReasonNotFound) {
		t.Errorf("a size to come: %v", err)
	}
	for path, want := range map[string]string{"/checkpoint": "tillbook.local/books\n", "/log-key": key, "/tile/0/000": "", "/tile/7/999": ""} {
		response, err := http.Get("http://" + o.address + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if want == "" && response.StatusCode != http.StatusNotFound || want != "" && !strings.HasPrefix(string(body), want) {
			t.Errorf("GET %s: %s %q", path, response.Status, body)
		}
	}
}

func TestOperatorsSetLimitsThatPaymentsKeep(t *testing.T) {
	o := openOffice(t)
	ann := member(t, o.address, "ann", "+62 812 3000 0001", "5000 USD")
	bob := member(t, o.address, "bob", "+62 812 3000 0002")
	me, err := ann.Auth.Me(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	him, err := bob.Auth.Me(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	limit := func(user string, measure limitv1.Measure, direction limitv1.Direction, period limitv1.Period, maximum string) *tillbook.Limit {
		set, err := o.operator.Limits.Set(t.Context(), &tillbook.Limit{
			Scope: &tillbook.LimitScope{Scope: &limitv1.Scope_UserId{UserId: user}}, Asset: "USD", Measure: measure,
			Direction: direction, Period: period, TimeZone: "Asia/Jakarta",
			Maximum: &limitv1.Limit_MaximumAmount{MaximumAmount: tillbook.MustMoney(maximum).Proto()},
		})
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	set := limit(me.GetUserId(), limitv1.Measure_MEASURE_AMOUNT, limitv1.Direction_DIRECTION_OUTGOING, limitv1.Period_PERIOD_DAY, "30 USD")
	pay(t, ann, "bob", "25 USD", "")
	_, err = ann.Wallet.Transfer(t.Context(), &tillbook.TransferRequest{Recipient: tillbook.ToUsername("bob"), Amount: tillbook.MustMoney("5.01 USD").Proto()})
	var refused *tillbook.Error
	if !errors.As(err, &refused) || refused.Reason != tillbook.ReasonLimitExceeded || refused.Outcome != tillbook.OutcomeNotExecuted ||
		refused.Metadata["limit_id"] != set.GetLimitId() || refused.Metadata["remaining"] != "5.00" || refused.Metadata["used"] != "25.00" ||
		refused.Metadata["maximum"] != "30.00" || refused.Metadata["reset_time"] == "" {
		t.Errorf("got %v with %v", err, refused)
	}
	limits, err := ann.Wallet.Limits(t.Context(), "USD")
	if err != nil || !slices.ContainsFunc(limits.GetUsages(), func(u *tillbook.LimitUsage) bool {
		return u.GetLimit().GetLimitId() == set.GetLimitId() && u.GetUsedAmount().GetAmount() == "25.00" && u.GetResetTime() != nil
	}) {
		t.Errorf("GetLimits: %v, %v", limits, err)
	}
	// The other side's limit is not the payer's business.
	limit(him.GetUserId(), limitv1.Measure_MEASURE_BALANCE, limitv1.Direction_DIRECTION_INCOMING, limitv1.Period_PERIOD_TRANSACTION, "26 USD")
	_, err = ann.Wallet.Transfer(t.Context(), &tillbook.TransferRequest{Recipient: tillbook.ToUsername("bob"), Amount: tillbook.MustMoney("2 USD").Proto()})
	if !errors.As(err, &refused) || refused.Reason != tillbook.ReasonRecipientLimitExceeded || strings.Contains(refused.Error(), "26") || refused.Metadata["maximum"] != "" {
		t.Errorf("got %v with %v", err, refused.Metadata)
	}
	if err := o.operator.Limits.Delete(t.Context(), set.GetLimitId()); err != nil {
		t.Fatal(err)
	}
	pay(t, ann, "bob", "1 USD", "")
	if err := o.operator.Limits.Delete(t.Context(), set.GetLimitId()); !errors.Is(err, tillbook.ReasonNotFound) {
		t.Errorf("a limit that is gone: %v", err)
	}
	// The tier decides which of the defaults apply.
	tooMuch := &tillbook.TransferRequest{Recipient: tillbook.ToUsername("cleo"), Amount: tillbook.MustMoney("1000.01 USD").Proto()}
	member(t, o.address, "cleo", "+62 812 3000 0003")
	if _, err := ann.Wallet.Transfer(t.Context(), tooMuch); !errors.Is(err, tillbook.ReasonLimitExceeded) {
		t.Errorf("beyond tier 0: %v", err)
	}
	tier := &tillbook.SetTierRequest{UserId: me.GetUserId(), Tier: 1, Reason: "Papers were shown."}
	if _, err := o.operator.Users.SetTier(t.Context(), tier); !errors.Is(err, tillbook.ReasonInvalidArgument) {
		t.Errorf("a tier without evidence: %v", err)
	}
	tier.EvidenceReference = "file 17"
	raised, err := o.operator.Users.SetTier(t.Context(), tier)
	if err != nil || raised.GetTier() != 1 {
		t.Fatalf("%v, %v", raised, err)
	}
	if _, err := ann.Wallet.Transfer(t.Context(), tooMuch); err != nil {
		t.Errorf("within tier 1: %v", err)
	}
	o.verify(t)
	actions := map[string]int{}
	for record, err := range o.operator.Audit.Records(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		actions[record.GetAction()]++
		if strings.HasPrefix(record.GetAction(), "limit.") && (record.GetActorKind() != "operator" || record.GetClientIp() == "" || record.GetDetails() == nil) {
			t.Errorf("the record lacks something: %v", record)
		}
	}
	for _, want := range []string{"limit.set", "limit.deleted", "tier.set", "user.registered", "session.started", "operator.created", "key.made",
		"rpc.tillbook.limit.v1.LimitService/SetLimit", "rpc.tillbook.audit.v1.AuditService/ListRecords"} {
		if actions[want] == 0 {
			t.Errorf("no record of %s among %v", want, actions)
		}
	}
}

func TestAnErasedUserLeavesTheBooksStandingAndNothingElse(t *testing.T) {
	o := openOffice(t)
	const number, name, note = "+628123000777", "zacharias", "for the red bicycle"
	zach := member(t, o.address, name, number, "50 USD")
	bob := member(t, o.address, "bob", "+62 812 3000 0002", "10 USD")
	me, err := zach.Auth.Me(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	paid := pay(t, zach, "bob", "20 USD", note)
	if _, err := bob.Wallet.RequestPayment(t.Context(), &tillbook.CreatePaymentRequestRequest{
		Payer: tillbook.ToUsername(name), Amount: tillbook.MustMoney("1 USD").Proto(), Note: note,
	}); err != nil {
		t.Fatal(err)
	}
	receipt, err := bob.Wallet.Receipt(t.Context(), paid.GetTransactionId())
	if err != nil {
		t.Fatal(err)
	}
	erase := &tillbook.EraseUserRequest{UserId: me.GetUserId(), Reason: "The user asked for it."}
	if _, err := o.operator.Users.Erase(t.Context(), erase); !errors.Is(err, tillbook.ReasonUserHasFunds) {
		t.Fatalf("with money left: %v", err)
	}
	pay(t, zach, "bob", "30 USD", note)
	if n, err := o.operator.Users.Erase(t.Context(), erase); err != nil || n != 2 {
		t.Fatalf("erased %d texts, %v; want 2", n, err)
	}
	if n, err := o.operator.Users.Erase(t.Context(), erase); err != nil || n != 0 {
		t.Errorf("again: %d, %v", n, err)
	}
	for _, to := range []*tillbook.Recipient{tillbook.ToUsername(name), tillbook.ToUser(me.GetUserId()), tillbook.ToPhone(number)} {
		_, err := bob.Wallet.Transfer(t.Context(), &tillbook.TransferRequest{Recipient: to, Amount: tillbook.MustMoney("1 USD").Proto()})
		if !errors.Is(err, tillbook.ReasonRecipientNotFound) {
			t.Errorf("paying who was erased: %v", err)
		}
	}
	if _, err := o.operator.Users.Get(t.Context(), &tillbook.GetUserRequest{User: &userv1.GetUserRequest_PhoneNumber{PhoneNumber: number}}); !errors.Is(err, tillbook.ReasonNotFound) {
		t.Errorf("finding who was erased: %v", err)
	}
	for _, secret := range []string{number, name, note} {
		if table := findInDump(t, o.database, secret); table != "" {
			t.Errorf("%q still stands in table %s", secret, table)
		}
	}
	after, err := bob.Wallet.Receipt(t.Context(), paid.GetTransactionId())
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, err := bob.Seal.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*tillbook.Receipt{receipt, after} {
		if v, err := tillbook.VerifyReceipt(r, checkpoint.GetVerifierKey()); err != nil || v.TransactionID != paid.GetTransactionId() {
			t.Errorf("a receipt doesn't verify any more: %v", err)
		}
	}
	if after.GetOpening() != nil {
		t.Error("the receipt still shows the text")
	}
	o.verify(t)
	stranger := &tillbook.EraseUserRequest{UserId: "usr_" + strings.Repeat("0", 26), Reason: "x"}
	if _, err := o.operator.Users.Erase(t.Context(), stranger); !errors.Is(err, tillbook.ReasonNotFound) {
		t.Errorf("erasing nobody: %v", err)
	}
}

// findInDump returns the table in whose rows, as text, a word stands.
func findInDump(t *testing.T, database, word string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), `SELECT tablename FROM pg_tables WHERE schemaname = 'public'`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) < 20 {
		t.Fatalf("%d tables, %v", len(tables), err)
	}
	for _, table := range tables {
		var dump strings.Builder
		if _, err := conn.PgConn().CopyTo(t.Context(), &dump, "COPY "+pgx.Identifier{table}.Sanitize()+" TO STDOUT"); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(dump.String(), word) {
			return table
		}
	}
	return ""
}
