package tillbook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log"

	tillbook "github.com/tillbook/tillbook/sdk"
)

// The whole of it: sign in, pay, look.
func Example() {
	ctx := context.Background()
	client, err := tillbook.New(baseURL())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	// The code comes by SMS; the sandbox keeps it for us.
	challenge, err := client.Auth.Register(ctx, &tillbook.RegisterRequest{
		PhoneNumber: "+62 812 1000 0001",
		Username:    "ana",
		Password:    "correct horse battery",
	})
	if err != nil {
		log.Fatal(err)
	}
	code, err := client.Sandbox.Code(ctx, "+62 812 1000 0001")
	if err != nil {
		log.Fatal(err)
	}
	ana, err := client.Auth.VerifyPhone(ctx, challenge, code)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("signed in as", ana.GetUsername())

	// Only the sandbox gives money away.
	if _, err := client.Sandbox.Fund(ctx, &tillbook.FundRequest{
		PhoneNumber: ana.GetPhoneNumber(),
		Amount:      tillbook.MustMoney("100.00 USD").Proto(),
	}); err != nil {
		log.Fatal(err)
	}

	balances, err := client.Wallet.Balances(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, balance := range balances {
		available, err := tillbook.MoneyFrom(balance.GetAvailable())
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("has", available)
	}
	// Output:
	// signed in as ana
	// has 100.00 USD
}

// A payment that is refused says why, and that nothing moved.
func ExampleWallet_Transfer() {
	ctx := context.Background()
	client := person("cindy", "+62 812 1000 0002", "20.00 USD")
	defer client.Close()
	defer person("dewi", "+62 812 1000 0003").Close()

	for _, amount := range []string{"12.50 USD", "7.51 USD", "0.001 USD"} {
		paid, err := client.Wallet.Transfer(ctx, &tillbook.TransferRequest{
			Recipient: tillbook.ToUsername("dewi"),
			Amount:    tillbook.MustMoney(amount).Proto(),
			Note:      "lunch",
		})
		switch {
		case errors.Is(err, tillbook.ReasonInsufficientFunds):
			fmt.Println(amount, "is more than there is")
		case err != nil:
			failed, _ := errors.AsType[*tillbook.Error](err)
			fmt.Println(amount, "was refused:", failed.Reason, failed.Outcome)
		default:
			fmt.Println("paid", paid.GetAmount().GetAmount(), "to", paid.GetCounterparty().GetMaskedName(),
				"and has", paid.GetBalanceAfter().GetAmount())
		}
	}
	// Output:
	// paid -12.50 to d***i and has 7.50
	// 7.51 USD is more than there is
	// 0.001 USD was refused: AMOUNT_TOO_PRECISE OUTCOME_NOT_EXECUTED
}

// A program that writes the key down before it sends can be interrupted at any
// point, and still pays once.
func ExampleNewIdempotencyKey() {
	ctx := context.Background()
	client := person("eka", "+62 812 1000 0004", "100 USD")
	defer client.Close()
	defer person("fajar", "+62 812 1000 0005").Close()

	payment := &tillbook.TransferRequest{
		IdempotencyKey: tillbook.NewIdempotencyKey(), // Keep it with the order.
		Recipient:      tillbook.ToPhone("+62 812 1000 0005"),
		Amount:         tillbook.MustMoney("30 USD").Proto(),
	}
	first, err := client.Wallet.Transfer(ctx, payment)
	if err != nil {
		log.Fatal(err)
	}
	again, err := client.Wallet.Transfer(ctx, payment)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the same transaction:", first.GetTransactionId() == again.GetTransactionId())
	fmt.Println("has", again.GetBalanceAfter().GetAmount())
	// Output:
	// the same transaction: true
	// has 70.00
}

func ExampleWallet_Transactions() {
	ctx := context.Background()
	client := person("gita", "+62 812 1000 0006", "5 USD", "300000 IDR", "7.25 USD")
	defer client.Close()

	for transaction, err := range client.Wallet.Transactions(ctx, &tillbook.ListTransactionsRequest{Asset: "USD"}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(transaction.GetAmount().GetAmount(), "->", transaction.GetBalanceAfter().GetAmount())
	}
	// Output:
	// 7.25 -> 12.25
	// 5.00 -> 5.00
}

// A watch begins with what there is and goes on with what happens. Most programs
// range over it; this one pulls the events one by one.
func ExampleWallet_Watch() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	payer := person("hadi", "+62 812 1000 0007", "100 USD")
	defer payer.Close()
	shop := person("indah", "+62 812 1000 0008", "1 USD")
	defer shop.Close()

	next, stop := iter.Pull2(shop.Wallet.Watch(ctx))
	defer stop()
	event, err, _ := next()
	if err != nil {
		log.Fatal(err)
	}
	for _, balance := range event.GetSnapshot().GetBalances() {
		fmt.Println("begins with", balance.GetTotal().GetAmount())
	}

	if _, err := payer.Wallet.Transfer(ctx, &tillbook.TransferRequest{
		Recipient: tillbook.ToUsername("indah"),
		Amount:    tillbook.MustMoney("2.40 USD").Proto(),
		Note:      "two teas",
	}); err != nil {
		log.Fatal(err)
	}

	event, err, _ = next()
	if err != nil {
		log.Fatal(err)
	}
	came := event.GetChange().GetTransaction()
	fmt.Println(came.GetAmount().GetAmount(), "for", came.GetNote(), "makes", came.GetBalanceAfter().GetAmount())
	// Output:
	// begins with 1.00
	// 2.40 for two teas makes 3.40
}

// Keep the session to be signed in after a restart.
func ExampleWithSessionChanged() {
	ctx := context.Background()
	var kept []byte // A file or a database, guarded as a password is.
	keep := tillbook.WithSessionChanged(func(session *tillbook.Session) {
		kept, _ = json.Marshal(session)
	})
	client, err := tillbook.New(baseURL(), keep)
	if err != nil {
		log.Fatal(err)
	}
	if err := join(ctx, client, "joko", "+62 812 1000 0009"); err != nil {
		log.Fatal(err)
	}
	client.Close()

	session := new(tillbook.Session)
	if err := json.Unmarshal(kept, session); err != nil {
		log.Fatal(err)
	}
	restarted, err := tillbook.New(baseURL(), keep, tillbook.WithSession(session))
	if err != nil {
		log.Fatal(err)
	}
	defer restarted.Close()
	me, err := restarted.Auth.Me(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("still", me.GetUsername())
	// Output:
	// still joko
}

func ExampleMoney() {
	price := tillbook.MustMoney("0.10 USD")
	total := tillbook.Money{}
	for range 3 {
		var err error
		if total, err = total.Add(price); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(total)
	_, err := total.Add(tillbook.MustMoney("1 EUR"))
	fmt.Println(errors.Is(err, tillbook.ErrAssetMismatch))
	// Output:
	// 0.30 USD
	// true
}
