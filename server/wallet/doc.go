// Package wallet serves WalletService: what a signed-in user has, what happened
// to it, and paying others.
//
// # Paying
//
// Transfer is the hot path. Once the payer's and the payee's accounts have been
// seen, it asks PostgreSQL for nothing beside the ledger's own commit: who is
// meant by a phone number or a name, and under which number an account stands,
// never changes and is remembered (bounded, and each fact for a few minutes
// only). What is cheap to refuse is refused before anything is written; a
// payee's account is opened only for a payer who can pay.
//
// The idempotency key stands for the payment, not for its bytes: "12.5" and
// "12.50", or a payee's number and name, are the same payment. A retry gets the
// transaction as it was the first time, with the balance of then.
//
// # Asking, and giving back
//
// A request for money ends once: paid, declined or canceled, whichever row of
// resolutions is first, and nothing of that from its expiry on. All of it goes by
// the database's clock. A payment writes that row in the ledger's own commit, so
// that what was paid can't have been declined. Nobody is woken by a request:
// clients list them.
//
// A payment is given back by who alone received it, in parts or whole, never more
// than it was. Both histories link the two.
//
// # Limits
//
// Every payment counts against the limits of both sides. A payer is told which
// limit of theirs stands in the way, what is left of it and when it resets; of the
// recipient's they learn that there is one, without numbers.
//
// # Watching
//
// A watch is a loop over one fact: the entries of an account are numbered
// without gaps. The stream knows the version that it sent last of each account;
// whenever something moved, here or on another replica, it reads what came
// after, merges the accounts by time and sends it. That makes each change
// arrive exactly once and in order, whatever is late, doubled or lost among the
// wake-ups, and it makes the resume token, which is those versions, good on any
// replica.
//
// What is held changes without an entry and has no version. There a stream tells
// how things stand, whenever that isn't what it told last, and a resumed one says
// it once for every account that ever had a hold.
//
// # Privacy
//
// Every query begins with the caller's own accounts. Somebody else's
// transaction is NOT_FOUND, and of other people no more is shown than the ends
// of their names.
package wallet
