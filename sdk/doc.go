// Package tillbook is the Go client of Tillbook, a wallet and point-of-sale
// platform. It signs people in and keeps them signed in, moves their money
// exactly once however bad the network is, and tells them when money arrives.
//
//	client, err := tillbook.New("https://api.example.com")
//	…
//	paid, err := client.Wallet.Transfer(ctx, &tillbook.TransferRequest{
//		Recipient: tillbook.ToUsername("budi"),
//		Amount:    tillbook.MustMoney("12.50 USD").Proto(),
//		Note:      "lunch",
//	})
//
// A [Client] has a field for each part of the API: [Auth] and [Wallet] for
// everybody, [Merchants] and [Terminals] for those who sell, [Ledger], [Limits],
// [Users] and [Audit] for operators, [Seal] for anyone, and [Sandbox]. Their methods
// take and return the API's own messages under shorter names, so that everything the
// proto files say about a field holds here. The client is safe for concurrent use,
// and one is enough for one user. Package terminal, beside it, is what runs on a
// point-of-sale device.
//
// # Signing in
//
// [Auth.Register] has a code sent by SMS, and [Auth.VerifyPhone] exchanges the
// code for a session. Later, [Auth.Login] signs in at once on a device that was
// verified before, and asks for a code on another one. From then on the client
// carries the session: it replaces the access token shortly before it expires,
// or when the server says that it has, once for all calls that wait for it.
//
// A session that was revoked or has run out can't be replaced. Every call then
// fails with an error that matches [ErrSignedOut], until somebody signs in.
//
// To stay signed in across restarts, keep what [WithSessionChanged] gives out,
// as safely as a password, and hand it to [WithSession]. Operators have no
// session but a key: [WithOperatorKey].
//
// # Money
//
// [Money] is an exact decimal of one asset. It never was a float and never
// becomes one; it can be added, subtracted and compared, and refuses to mix
// assets. [ParseMoney] reads "12.50 USD", [Money.Proto] gives what requests
// take, and [MoneyFrom] reads what responses hold.
//
// # Moving money once
//
// A request that moves money carries an idempotency key, under which the server
// executes it at most once. The client makes up a key for a request without
// one, and keeps it through all its retries. Two calls are two payments, even
// with the same request value.
//
// When the answer is lost, the client asks again with the same key and gets the
// first result. If it can't find out before the deadline, the error's Outcome is
// [OutcomeUnknown], and its IdempotencyKey is what to ask with later:
//
//	if e, ok := errors.AsType[*tillbook.Error](err); ok && e.Outcome == tillbook.OutcomeUnknown {
//		request.IdempotencyKey = e.IdempotencyKey // The same request, at any later time.
//	}
//
// A program that may itself be interrupted makes the key with
// [NewIdempotencyKey] and writes it down first.
//
// # Errors
//
// Every failed call returns an [*Error], with the server's [Reason], a sentence,
// the fields that are wrong, how long to wait, and what became of the money.
// Reasons are errors too:
//
//	switch {
//	case errors.Is(err, tillbook.ReasonInsufficientFunds):
//		// Nothing moved: ask for less.
//	case errors.Is(err, tillbook.ReasonRecipientNotFound):
//		// Nobody has that name.
//	case errors.Is(err, tillbook.ErrSignedOut):
//		// Ask for the password.
//	}
//
// # Retries and deadlines
//
// Calls that only read, and those that an idempotency key or their nature makes
// repeatable, are sent again when the connection is lost, the server is
// unavailable, or it is overloaded and says when to come back: 4 times at most
// ([WithRetries]), after waits that double from 100 ms to 5 s and are cut at
// random. Anything else, such as a sign-in or the sending of a code, is sent
// again only if it surely never left.
//
// A context without a deadline gets one of 30 seconds ([WithTimeout]), retries
// included. A single attempt of a repeatable call gets 10 seconds of them.
//
// # Lists
//
// Lists are iterators. They fetch pages as they are looked at and end with the
// first error:
//
//	for transaction, err := range client.Wallet.Transactions(ctx, nil) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(transaction.GetTransactionId())
//	}
//
// # Watching
//
// [Wallet.Watch] is a list without an end: a snapshot of the balances, and then
// each change as it commits. When the connection is lost or goes silent, or the
// server moves the stream elsewhere, it goes on where it was. Nothing is missed
// and nothing is repeated, so a sum over the changes is right.
//
// # Connections
//
// http:// speaks HTTP/1.1 with connections that are kept, https:// negotiates
// HTTP/2. [WithHTTPClient] replaces the HTTP client. [Client.RPC] serves the
// generated clients, with the same credentials, retries and errors, for whatever
// this package leaves out.
package tillbook
