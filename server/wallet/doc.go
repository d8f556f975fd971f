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
// # Privacy
//
// Every query begins with the caller's own accounts. Somebody else's
// transaction is NOT_FOUND, and of other people no more is shown than the ends
// of their names.
package wallet
