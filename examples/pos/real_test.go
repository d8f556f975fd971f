package main

import (
	"strings"
	"syscall"
	"testing"

	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
)

const enter = "\r"

// A day at the counter, as a cashier sees it: in a terminal, in a process of its own,
// on a real server.
func TestADayAtTheCounter(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	s := w.counter()
	s.see("Activate this till")
	s.press("0000000000" + enter)
	s.see("This code is wrong, used or too old.", "Enter activates")
	s.press(strings.Repeat("\x7f", 10) + strings.ToLower(w.activationCode()) + enter)
	s.see("Warung Kopi · Jalan Sabang", "● online, session 1", "▶ Amount", "Enter sells")

	// The customer scans the screen, and tips.
	s.press("12.50\tTable 4\t " + enter)
	code := s.checkoutCode("")
	s.see("Scan to pay", "USD 12.50", "Table 4", "The customer may give a tip.")
	scanned := w.find(&walletv1.GetCheckoutRequest{By: &walletv1.GetCheckoutRequest_QrText{QrText: s.scan()}})
	if scanned.GetCode() != code || scanned.GetAmount().GetAmount() != "12.50" {
		t.Fatalf("scanned %v, want %s", scanned, code)
	}
	w.pay(scanned, "1.25 USD")
	s.see("PAID", "USD 13.75 by ", "Tip ", "Enter goes on")
	if !s.green() {
		t.Error("the screen isn't green")
	}
	eventually(t, func() string {
		if paper := w.printed(); strings.Count(paper, "Table 4") != 1 || !strings.Contains(paper, "USD 13.75") {
			return "printed: " + paper
		}
		return ""
	})

	// The customer declines, the cashier cancels, the customer shows a code.
	s.press(enter)
	s.see("Enter sells")
	s.press("3" + enter)
	code = s.checkoutCode(code)
	w.as(w.customer, wallets+"DeclineCheckout", &walletv1.DeclineCheckoutRequest{CheckoutId: w.find(byCode(code)).GetCheckoutId()}, &walletv1.DeclineCheckoutResponse{})
	s.see("DECLINED", "The customer refused to pay.", "Enter goes on")
	s.press(enter + "4" + enter)
	code = s.checkoutCode(code)
	s.press("c")
	s.see("CANCELED", "Nothing was paid.", "Enter goes on")
	s.press(enter + "5" + enter)
	code = s.checkoutCode(code)
	s.press("p" + w.paymentCode("4.99 USD") + enter)
	s.see("isn't good for that much", "Enter charges it")
	s.press(w.paymentCode("6 USD") + enter)
	s.see("PAID", "USD 5.00 by ", "Enter goes on")

	// Time runs out.
	s.press(enter + "6" + enter)
	code = s.checkoutCode(code)
	w.expire(code)
	s.see("EXPIRED", "Nobody paid in time.", "Enter goes on")
	s.press(enter)

	w.command(terminalv1.CommandKind_COMMAND_KIND_LOCK)
	s.see("LOCKED", "A manager can unlock it.")
	w.command(terminalv1.CommandKind_COMMAND_KIND_UNLOCK)
	s.see("Enter sells")
	s.press("0.001" + enter)
	s.see("▶ Amount     USD 0.001", "decimal")
	w.revoke()
	s.see("STOPPED", "This till was given up.")
	s.quit()
	if paper := w.printed(); strings.Count(paper, "Warung Kopi") != 2 {
		t.Errorf("want two receipts:\n%s", paper)
	}
}

// The server is away while a sale waits, and the customer pays as soon as it is back.
func TestASaleWaitsForAServerThatIsAway(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	s := w.counter("-code", w.activationCode())
	s.see("● online", "Enter sells")
	s.press("7" + enter)
	code := s.checkoutCode("")
	w.stop()
	s.see("○ offline", code)
	w.start(w.address)
	w.pay(w.find(byCode(code)), "")
	s.see("PAID", "USD 7.00 by ", "● online, session 2")
	s.quit()
	if paper := w.printed(); strings.Count(paper, "USD 7.00") != 2 { // the amount and the sum
		t.Errorf("printed:\n%s", paper)
	}
}

// The counter dies while a sale waits, and it is paid meanwhile. And again while a sale
// is sent to a server that isn't there.
func TestAKilledCounterGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	s := w.counter("-code", w.activationCode())
	s.see("● online", "Enter sells")
	s.press("8" + enter)
	code := s.checkoutCode("")
	s.kill()
	s = w.counter()
	s.see("Scan to pay", code, "USD 8.00")
	s.kill()
	w.pay(w.find(byCode(code)), "")
	s = w.counter()
	s.see("PAID", "USD 8.00 by ", "Enter goes on")
	s.press(enter)
	s.see("Enter sells", "● online")
	// It knows by asking. The receipt comes with the server's message, later.
	eventually(t, func() string {
		if strings.Contains(w.printed(), "USD 8.00") {
			return ""
		}
		return "no receipt"
	})

	w.stop()
	s.see("○ offline")
	s.press("9" + enter)
	s.see("is sent again")
	s.kill()
	w.start(w.address)
	s = w.counter()
	s.see("Scan to pay", "USD 9.00")
	s.quit()
	var sales int
	must(t, w.owner.Pool.QueryRow(t.Context(), "SELECT count(*) FROM checkouts").Scan(&sales))
	if paper := w.printed(); sales != 2 || strings.Count(paper, "Warung Kopi") != 1 {
		t.Errorf("%d sales; printed:\n%s", sales, paper)
	}
}

// The printer takes nothing, so the counter dies between paid and printed. It asks at
// each start, until somebody answers.
func TestAReceiptThatMayNotBePrintedIsAskedAboutUntilSomebodyAnswers(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	good := w.printer
	w.printer += "-jammed"
	must(t, syscall.Mkfifo(w.printer, 0o600)) // nobody reads it, so opening it waits
	s := w.counter("-code", w.activationCode())
	s.see("● online", "Enter sells")
	s.press("11" + enter)
	w.pay(w.find(byCode(s.checkoutCode(""))), "")
	s.see("PAID", "USD 11.00 by ")
	s.kill()

	w.printer = good
	for range 2 { // quitting is no answer, and neither is a loss of power
		s = w.counter()
		s.see("LOOK AT THE PRINTER", "USD 11.00 was paid. The till stopped before it knew", "Warung Kopi")
		s.quit()
		s = w.counter()
		s.see("LOOK AT THE PRINTER")
		s.kill()
	}
	if w.printed() != "" {
		t.Errorf("printed unasked:\n%s", w.printed())
	}
	s = w.counter()
	s.see("LOOK AT THE PRINTER")
	s.press("p")
	s.see("● online", "PAID", "USD 11.00 by ", "Enter goes on")
	s.press(enter)
	s.see("Enter sells")
	s.quit()
	s = w.counter()
	s.see("● online", "Enter sells")
	s.quit()
	if strings.Count(w.printed(), "Warung Kopi") != 1 {
		t.Errorf("printed:\n%s", w.printed())
	}
}

// expire ends the time of a sale once the till has said that it shows it.
func (w *town) expire(code string) {
	w.t.Helper()
	eventually(w.t, func() string {
		done, err := w.owner.Pool.Exec(w.t.Context(),
			"UPDATE checkouts SET expire_time = now(), due_time = now() WHERE code = $1 AND acknowledge_time IS NOT NULL", code)
		must(w.t, err)
		if done.RowsAffected() == 0 {
			return "the sale isn't acknowledged"
		}
		return ""
	})
}
