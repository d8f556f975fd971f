package wallet_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/server/money/moneytest"
)

func TestATransferMovesMoneyOnceAndBothSidesSeeIt(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "100.00 USD")

	req := transfer("rent", "12.5 USD", byID(bob))
	req.Note = "für die Miete 🏠"
	paid := mustPay(t, r.as(alice), req)
	want := &walletv1.Transaction{
		TransactionId: paid.GetTransactionId(),
		Kind:          walletv1.TransactionKind_TRANSACTION_KIND_TRANSFER,
		Amount:        amount("-12.50 USD"),
		BalanceAfter:  amount("87.50 USD"),
		Counterparty:  &walletv1.Counterparty{UserId: bob.Name, MaskedName: "b***y"},
		Note:          "für die Miete 🏠",
		CreateTime:    paid.GetCreateTime(),
	}
	if !proto.Equal(paid, want) {
		t.Errorf("the payer is told %v, want %v", paid, want)
	}
	seen, err := r.as(bob).GetTransaction(t.Context(), &walletv1.GetTransactionRequest{TransactionId: paid.GetTransactionId()})
	if err != nil {
		t.Fatal(err)
	}
	want.Amount, want.BalanceAfter = amount("12.50 USD"), amount("12.50 USD")
	want.Counterparty = &walletv1.Counterparty{UserId: alice.Name, MaskedName: "a***e"}
	if !proto.Equal(seen.GetTransaction(), want) {
		t.Errorf("the payee sees %v, want %v", seen.GetTransaction(), want)
	}
	res, err := r.as(alice).GetWallet(t.Context(), &walletv1.GetWalletRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got := balances(res.GetBalances()); got != "[87.50 USD held 0.00 total 87.50]" {
		t.Errorf("the payer's wallet is %s", got)
	}
}

func TestAWalletListsEveryAssetThatItsOwnerEverHadInOrder(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "5.00 USD")
	books.Fund(t, alice, "300 JPY")
	books.Fund(t, alice, "0.000000000000000001 ETH")
	mustPay(t, r.as(alice), transfer("all", "5.00 USD", byID(bob)))

	res, err := r.as(alice).GetWallet(t.Context(), &walletv1.GetWalletRequest{})
	if err != nil {
		t.Fatal(err)
	}
	want := "[0.000000000000000001 ETH held 0.000000000000000000 total 0.000000000000000001]" +
		"[300 JPY held 0 total 300][0.00 USD held 0.00 total 0.00]"
	if got := balances(res.GetBalances()); got != want {
		t.Errorf("the wallet is %s, want %s", got, want)
	}
	empty, err := r.as(books.User(t, "carol")).GetWallet(t.Context(), &walletv1.GetWalletRequest{})
	if err != nil || len(empty.GetBalances()) != 0 {
		t.Errorf("a new wallet is %v, %v", empty, err)
	}
}

func TestARefusedTransferMovesNothing(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	stranger := moneytest.User{Name: "usr_" + strings.Repeat("0", 26)}
	books.Fund(t, alice, "100.00 USD")
	books.Fund(t, bob, "1.00 USD")
	transactions, accounts := books.Transactions(t), books.Accounts(t)

	cases := map[string]struct {
		req    *walletv1.TransferRequest
		reason string
		field  string
	}{
		"more than there is":         {transfer("k", "100.01 USD", byID(bob)), "INSUFFICIENT_FUNDS", ""},
		"an asset never had":         {transfer("k", "1 EUR", byID(bob)), "INSUFFICIENT_FUNDS", ""},
		"to oneself by id":           {transfer("k", "1 USD", byID(alice)), "SELF_TRANSFER", "recipient"},
		"to oneself by phone":        {transfer("k", "1 USD", byPhone(alice.Phone)), "SELF_TRANSFER", "recipient"},
		"to oneself by name":         {transfer("k", "1 USD", byName("ALICE")), "SELF_TRANSFER", "recipient"},
		"to nobody's id":             {transfer("k", "1 USD", byID(stranger)), "RECIPIENT_NOT_FOUND", "recipient.user_id"},
		"to an id of no user":        {transfer("k", "1 USD", &walletv1.Recipient{Recipient: &walletv1.Recipient_UserId{UserId: "usr_" + strings.Repeat("z", 26)}}), "RECIPIENT_NOT_FOUND", "recipient.user_id"},
		"to nobody's number":         {transfer("k", "1 USD", byPhone("+6281299999999")), "RECIPIENT_NOT_FOUND", "recipient.phone_number"},
		"to no number":               {transfer("k", "1 USD", byPhone("12345")), "RECIPIENT_NOT_FOUND", "recipient.phone_number"},
		"to nobody's name":           {transfer("k", "1 USD", byName("nobody")), "RECIPIENT_NOT_FOUND", "recipient.username"},
		"to what can't be a name":    {transfer("k", "1 USD", byName("a\x00b")), "RECIPIENT_NOT_FOUND", "recipient.username"},
		"an unknown asset":           {transfer("k", "1 XYZ", byID(bob)), "ASSET_NOT_FOUND", "amount.asset"},
		"too many decimals":          {transfer("k", "1.001 USD", byID(bob)), "AMOUNT_TOO_PRECISE", "amount.amount"},
		"nothing":                    {transfer("k", "0.00 USD", byID(bob)), "AMOUNT_NOT_POSITIVE", "amount.amount"},
		"less than nothing":          {transfer("k", "-1 USD", byID(bob)), "AMOUNT_NOT_POSITIVE", "amount.amount"},
		"more than there are digits": {transfer("k", "9999999999999999999999999999999999999 USD", byID(bob)), "AMOUNT_OUT_OF_RANGE", "amount.amount"},
		"no key":                     {transfer("", "1 USD", byID(bob)), "INVALID_ARGUMENT", "idempotency_key"},
		"no recipient":               {transfer("k", "1 USD", nil), "INVALID_ARGUMENT", "recipient"},
		"a recipient without a name": {transfer("k", "1 USD", &walletv1.Recipient{}), "INVALID_ARGUMENT", "recipient.recipient"},
		"no amount":                  {&walletv1.TransferRequest{IdempotencyKey: "k", Recipient: byID(bob)}, "INVALID_ARGUMENT", "amount"},
		"a zero byte in the note":    {&walletv1.TransferRequest{IdempotencyKey: "k", Recipient: byID(bob), Amount: amount("1 USD"), Note: "a\x00b"}, "INVALID_ARGUMENT", "note"},
		"an endless note":            {&walletv1.TransferRequest{IdempotencyKey: "k", Recipient: byID(bob), Amount: amount("1 USD"), Note: strings.Repeat("x", 141)}, "INVALID_ARGUMENT", "note"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := r.as(alice).Transfer(t.Context(), c.req)
			if got := moneytest.WantNothingMoved(t, err, c.reason); got.Field != c.field {
				t.Errorf("the error names field %q, want %q", got.Field, c.field)
			}
		})
	}
	_, err := r.asAnonymous().Transfer(t.Context(), transfer("k", "1 USD", byID(bob)))
	moneytest.WantNothingMoved(t, err, "UNAUTHENTICATED")

	wantBalance(t, books, alice, "100.00 USD")
	wantBalance(t, books, bob, "1.00 USD")
	if n := books.Transactions(t); n != transactions {
		t.Errorf("%d transactions were made", n-transactions)
	}
	if n := books.Accounts(t); n != accounts {
		t.Errorf("%d accounts were opened", n-accounts)
	}
}

func TestARefusedPayeeGetsNoAccount(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "5.00 USD")

	_, err := r.as(alice).Transfer(t.Context(), transfer("k", "5.01 USD", byID(bob)))
	moneytest.WantNothingMoved(t, err, "INSUFFICIENT_FUNDS")
	wantBalance(t, books, bob, "none USD")
	mustPay(t, r.as(alice), transfer("k", "5.00 USD", byID(bob)))
	wantBalance(t, books, bob, "5.00 USD")
}

func TestARetryGetsTheFirstAnswer(t *testing.T) {
	books := moneytest.New(t)
	first, second := serve(t, books), serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "100.00 USD")

	paid := mustPay(t, first.as(alice), transfer("rent", "12.5 USD", byID(bob)))
	mustPay(t, first.as(alice), transfer("other", "50 USD", byID(bob)))

	// The same payment in other words, on another replica, after the balance
	// has changed.
	for name, req := range map[string]*walletv1.TransferRequest{
		"the same":            transfer("rent", "12.5 USD", byID(bob)),
		"more zeros":          transfer("rent", "12.50 USD", byID(bob)),
		"by phone":            transfer("rent", "12.50 USD", byPhone(bob.Phone)),
		"by phone, written":   transfer("rent", "12.50 USD", byPhone("+62 "+bob.Phone[3:6]+" "+bob.Phone[6:])),
		"by name":             transfer("rent", "12.5 USD", byName("bobby")),
		"by name, other case": transfer("rent", "12.5 USD", byName("BoBBy")),
	} {
		for _, r := range []replica{first, second} {
			if again := mustPay(t, r.as(alice), req); !proto.Equal(again, paid) {
				t.Errorf("%s: the retry says %v, want %v", name, again, paid)
			}
		}
	}
	wantBalance(t, books, alice, "37.50 USD")
	wantBalance(t, books, bob, "62.50 USD")
}

func TestAKeyStandsForOnePayment(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob, carol := books.User(t, "alice"), books.User(t, "bobby"), books.User(t, "carol")
	books.Fund(t, alice, "100.00 USD")
	books.Fund(t, alice, "100.00 EUR")
	mustPay(t, r.as(alice), transfer("rent", "10 USD", byID(bob)))

	noted := transfer("rent", "10 USD", byID(bob))
	noted.Note = "thanks"
	for name, req := range map[string]*walletv1.TransferRequest{
		"another amount":        transfer("rent", "10.01 USD", byID(bob)),
		"another asset":         transfer("rent", "10 EUR", byID(bob)),
		"an asset never had":    transfer("rent", "10 JPY", byID(bob)),
		"another payee":         transfer("rent", "10 USD", byID(carol)),
		"another note":          noted,
		"more than there is":    transfer("rent", "1000 USD", byID(bob)),
		"too much for somebody": transfer("rent", "1000 USD", byID(carol)),
	} {
		_, err := r.as(alice).Transfer(t.Context(), req)
		if got := moneytest.ReadRefusal(t, err); got.Reason != "IDEMPOTENCY_KEY_REUSED" || got.Outcome != errorv1.Outcome_OUTCOME_NOT_EXECUTED {
			t.Errorf("%s: got %+v (%v)", name, got, err)
		}
	}
	wantBalance(t, books, alice, "90.00 USD")

	// Keys are each user's own.
	mustPay(t, r.as(bob), transfer("rent", "10 USD", byID(carol)))
	wantBalance(t, books, carol, "10.00 USD")
}

func TestARefusedTransferLeavesItsKeyFree(t *testing.T) {
	books := moneytest.New(t)
	r := serve(t, books)
	alice, bob := books.User(t, "alice"), books.User(t, "bobby")
	books.Fund(t, alice, "5.00 USD")
	_, err := r.as(alice).Transfer(t.Context(), transfer("k", "6 USD", byID(bob)))
	moneytest.WantNothingMoved(t, err, "INSUFFICIENT_FUNDS")
	books.Fund(t, alice, "5.00 USD")
	mustPay(t, r.as(alice), transfer("k", "7 USD", byID(bob)))
	wantBalance(t, books, alice, "3.00 USD")
}
