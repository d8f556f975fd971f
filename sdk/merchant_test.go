package tillbook_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	tillbook "github.com/tillbook/tillbook/sdk"
	"github.com/tillbook/tillbook/store/storetest"
)

// eventually waits for a condition that the server brings about on its own.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("it never came that %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestAMerchantSellsSettlesAndWithdraws(t *testing.T) {
	database := storetest.NewDatabase(t)
	address, _ := startServer(t, database, "127.0.0.1:0")
	olga := desk(t, database, address)
	owner := member(t, address, "owner", "+62 812 3000 0051", "1 USD")
	cashier := member(t, address, "cashier", "+62 812 3000 0052", "1 USD")
	customer := member(t, address, "customer", "+62 812 3000 0053", "50 USD")
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := olga.Merchants.SetFeePlan(ctx, &tillbook.FeePlan{Name: "standard", Rates: []*merchantv1.FeeRate{
		{BasisPoints: 200, Fixed: tillbook.MustMoney("0.05 USD").Proto()},
	}})
	must(err)
	for plan, err := range olga.Merchants.FeePlans(ctx) {
		if err != nil || plan.GetName() != "standard" {
			t.Errorf("the plans are %v, %v", plan, err)
		}
	}
	shop, err := owner.Merchants.Create(ctx, &tillbook.CreateMerchantRequest{Name: "Warung", Country: "ID", City: "Bogor", TimeZone: "Asia/Jakarta"})
	must(err)
	at := shop.GetMerchantId()
	must(olga.Merchants.AssignFeePlan(ctx, at, "standard"))
	counter, err := owner.Merchants.CreateStore(ctx, &tillbook.CreateStoreRequest{MerchantId: at, Name: "Pasar"})
	must(err)
	invitation, err := owner.Merchants.Invite(ctx, &tillbook.InviteStaffRequest{MerchantId: at, PhoneNumber: "+6281230000052", Role: merchantv1.Role_ROLE_CASHIER})
	must(err)
	_, err = cashier.Merchants.Accept(ctx, invitation.GetInvitationId())
	must(err)
	shift, err := cashier.Merchants.OpenShift(ctx, &tillbook.OpenShiftRequest{MerchantId: at, StoreId: counter.GetStoreId()})
	must(err)

	watched := make(chan *tillbook.MerchantEvent, 1000)
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		for event, err := range owner.Merchants.Watch(watching, at) {
			if err != nil {
				return
			}
			watched <- event
		}
	}()
	sell := func() *tillbook.Checkout {
		t.Helper()
		sale, err := cashier.Merchants.Sell(ctx, &tillbook.CreateCheckoutRequest{MerchantId: at, StoreId: counter.GetStoreId(), Amount: tillbook.MustMoney("20 USD").Proto()})
		must(err)
		return sale
	}
	eventually(t, "the watch tells of a sale", func() bool { sell(); return len(watched) > 0 })
	refused, err := customer.Wallet.DeclineCheckout(ctx, sell().GetCheckoutId())
	must(err)
	if refused.GetState() != checkoutv1.CheckoutState_CHECKOUT_STATE_DECLINED {
		t.Errorf("a declined sale is %v", refused.GetState())
	}
	sale := sell()
	found, err := customer.Wallet.FindCheckout(ctx, &tillbook.FindCheckoutRequest{By: &walletv1.GetCheckoutRequest_QrText{QrText: sale.GetQrText()}})
	must(err)
	paid, transaction, err := customer.Wallet.PayCheckout(ctx, &tillbook.PayCheckoutRequest{CheckoutId: found.GetCheckout().GetCheckoutId()})
	must(err)
	if paid.GetCheckoutId() != sale.GetCheckoutId() || transaction.GetAmount().GetAmount() != "-20.00" {
		t.Errorf("paying %s made %v of %v", sale.GetCheckoutId(), transaction, paid)
	}
	for event := range watched {
		if c := event.GetCheckout(); c.GetCheckoutId() == sale.GetCheckoutId() && c.GetState() == checkoutv1.CheckoutState_CHECKOUT_STATE_SUCCEEDED {
			break
		}
	}
	eventually(t, "the sale settles", func() bool {
		_, balances, err := owner.Merchants.Get(ctx, at)
		must(err)
		return len(balances) == 1 && balances[0].GetAvailable().GetAmount() == "19.55"
	})
	eventually(t, "there is a document", func() bool {
		for x, err := range owner.Merchants.Settlements(ctx, at) {
			must(err)
			for line, err := range owner.Merchants.SettlementLines(ctx, at, x.GetSettlementId()) {
				if must(err); line.GetCheckoutId() != sale.GetCheckoutId() {
					t.Errorf("a line is %v", line)
				}
			}
			return x.GetFees().GetAmount() == "0.45"
		}
		return false
	})
	back, err := owner.Merchants.Refund(ctx, &tillbook.RefundCheckoutRequest{MerchantId: at, CheckoutId: sale.GetCheckoutId(), Amount: tillbook.MustMoney("5 USD").Proto()})
	must(err)
	_, err = cashier.Merchants.Refund(ctx, &tillbook.RefundCheckoutRequest{MerchantId: at, CheckoutId: sale.GetCheckoutId()})
	if !errors.Is(err, tillbook.ReasonPermissionDenied) {
		t.Errorf("a cashier gives back: %v", err)
	}
	took, err := owner.Merchants.Withdraw(ctx, &tillbook.WithdrawFundsRequest{MerchantId: at, Amount: tillbook.MustMoney("14 USD").Proto()})
	must(err)
	if took.GetBalance().GetAvailable().GetAmount() != "0.55" || back.GetTransactionId() == "" {
		t.Errorf("after all that there is %v", took.GetBalance())
	}
	closed, err := cashier.Merchants.CloseShift(ctx, at, shift.GetShiftId())
	must(err)
	if len(closed.GetTotals()) != 1 || closed.GetTotals()[0].GetNet().GetAmount() != "14.55" {
		t.Errorf("the shift had %v", closed.GetTotals())
	}
	var doc bytes.Buffer
	today := time.Now().In(time.FixedZone("WIB", 7*3600)).Format(time.DateOnly)
	must(owner.Merchants.ExportDayReport(ctx, &tillbook.ExportDayReportRequest{MerchantId: at, Date: today}, &doc))
	if strings.Count(doc.String(), "\r\n") != 3 {
		t.Errorf("the day is %s", doc.String())
	}
	erase := &tillbook.EraseUserRequest{UserId: userID(t, owner), Reason: "asked for it"}
	if _, err := olga.Users.Erase(ctx, erase); !errors.Is(err, tillbook.ReasonUserHasFunds) {
		t.Errorf("erasing who owns a merchant with money: %v", err)
	}
	wantVerified(t, database)
}

func TestWhoOwnedAMerchantWithoutMoneyIsErased(t *testing.T) {
	database := storetest.NewDatabase(t)
	address, _ := startServer(t, database, "127.0.0.1:0")
	olga := desk(t, database, address)
	owner := member(t, address, "owner", "+62 812 3000 0061", "1 USD")
	rudi := member(t, address, "rudi", "+62 812 3000 0062", "1 USD")
	ctx := t.Context()
	shop, err := owner.Merchants.Create(ctx, &tillbook.CreateMerchantRequest{Name: "Warung", Country: "ID", City: "Bogor"})
	if err != nil {
		t.Fatal(err)
	}
	other, err := rudi.Merchants.Create(ctx, &tillbook.CreateMerchantRequest{Name: "Toko", Country: "ID", City: "Bogor"})
	if err != nil {
		t.Fatal(err)
	}
	invite := &tillbook.InviteStaffRequest{MerchantId: other.GetMerchantId(), PhoneNumber: "+6281230000061", Role: merchantv1.Role_ROLE_MANAGER}
	made, err := rudi.Merchants.Invite(ctx, invite)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := owner.Merchants.Accept(ctx, made.GetInvitationId()); err != nil {
		t.Fatal(err)
	}
	if _, err := owner.Wallet.Transfer(ctx, &tillbook.TransferRequest{Recipient: tillbook.ToUsername("rudi"), Amount: tillbook.MustMoney("1 USD").Proto()}); err != nil {
		t.Fatal(err)
	}
	if _, err := olga.Users.Erase(ctx, &tillbook.EraseUserRequest{UserId: userID(t, owner), Reason: "asked for it"}); err != nil {
		t.Fatalf("erasing who owned %s: %v", shop.GetName(), err)
	}
	if dumped := dump(t, database); strings.Contains(dumped, "81230000061") {
		t.Error("the number is still there")
	}
	for s, err := range rudi.Merchants.Staff(ctx, other.GetMerchantId()) {
		if err != nil || s.GetRole() != merchantv1.Role_ROLE_OWNER {
			t.Errorf("there works %v, %v", s, err)
		}
	}
	wantVerified(t, database)
}

func TestTheStaffLooksAfterItsTerminals(t *testing.T) {
	database := storetest.NewDatabase(t)
	address, _ := startServer(t, database, "127.0.0.1:0")
	owner := member(t, address, "owner", "+62 812 3000 0054", "1 USD")
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	shop, err := owner.Merchants.Create(ctx, &tillbook.CreateMerchantRequest{Name: "Warung", Country: "ID", City: "Bogor"})
	must(err)
	at := shop.GetMerchantId()
	counter, err := owner.Merchants.CreateStore(ctx, &tillbook.CreateStoreRequest{MerchantId: at, Name: "Pasar"})
	must(err)
	made, err := owner.Terminals.Create(ctx, &tillbook.CreateTerminalRequest{MerchantId: at, StoreId: counter.GetStoreId(), Name: "Till 1"})
	must(err)
	till := made.GetTerminal().GetTerminalId()
	again, err := owner.Terminals.ReissueCode(ctx, at, till)
	must(err)
	if made.GetActivationCode() == "" || again.GetActivationCode() == made.GetActivationCode() {
		t.Errorf("the codes are %q and %q", made.GetActivationCode(), again.GetActivationCode())
	}
	code, err := owner.Wallet.PaymentCode(ctx, tillbook.MustMoney("1 USD"))
	must(err)
	if code.GetPaymentCode() == "" || !code.GetExpireTime().AsTime().After(time.Now()) {
		t.Errorf("the payment code is %v", code)
	}
	must(func() error { _, err := owner.Terminals.Revoke(ctx, at, till); return err }())
	_, err = owner.Terminals.Send(ctx, &tillbook.SendCommandRequest{MerchantId: at, TerminalId: till, Kind: terminalv1.CommandKind_COMMAND_KIND_LOCK})
	if !errors.Is(err, tillbook.ReasonTerminalRevoked) {
		t.Errorf("locking a revoked terminal: %v", err)
	}
	shown, err := owner.Terminals.Get(ctx, at, till)
	must(err)
	listed := 0
	for one, err := range owner.Terminals.All(ctx, &tillbook.ListTerminalsRequest{MerchantId: at}) {
		must(err)
		listed++
		if one.GetTerminalId() != till || one.GetState() != terminalv1.TerminalState_TERMINAL_STATE_REVOKED || shown.GetState() != one.GetState() {
			t.Errorf("the terminal is %v, listed as %v", shown, one)
		}
	}
	if listed != 1 {
		t.Errorf("%d terminals are listed", listed)
	}
}
