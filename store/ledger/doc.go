// Package ledger is Tillbook's double-entry ledger on PostgreSQL: accounts,
// transactions that balance, and the committer that makes them fast.
//
// # The books
//
// An [Account] holds one asset. A transaction is a set of postings that sum to
// zero for each asset; each posting becomes an [Entry] in its account's
// history, numbered 1, 2, 3 … without gaps and carrying the balance that it led
// to. The account's version is the number of its newest entry. So a lost, added
// or doubled entry can be seen, the balance at any time is found by halving,
// and a reader who knows the version that it saw last can go on from there
// without missing or repeating anything. Entries and transactions are never
// changed or deleted: the role that serves traffic has no right to.
//
// An account with a floor never has less available than that, whatever happens
// at once; accounts without one stand for the world outside, and their negative
// balance is what the world has paid in.
//
// # The committer
//
// A payment in a database transaction of its own costs two or three commits'
// worth of round trips, and a popular account admits one at a time. Here all
// payments that wait are taken together and run as one database transaction of
// two round trips: the first locks their accounts in the order of their ids and
// then reads their idempotency keys; Go then decides each [Command] in turn,
// each seeing what those before it did; the second writes everything and
// commits. While one batch commits the next one gathers, so nothing waits for a
// batch to fill, and a hot account is locked once a batch. When more waits than a
// batch takes, a second one runs beside the first, with commands for other
// accounts than the first has; what needs those waits in memory, in its order.
//
// A Command's Decide function is pure: it gets the locked rows and returns the
// postings or a refusal. It may run several times, since a batch that fails (on
// a unique violation, a deadlock, a lost connection) is run again, in halves if
// need be, so that one bad command never fails its neighbours.
//
// # Exactly once
//
// Every command carries a key, stored with a fingerprint of the request in the
// transaction's own row. A key that was used executes nothing and gives the
// first result. When the answer to a COMMIT is lost the outcome is unknown; the
// batch is then simply run again on a new connection. Its first round trip
// waits for the locks that the lost one may still hold, so when it reads the
// keys the question is settled: what was committed is found and what was not is
// executed. Only if that can't be had in time does the caller get
// [ErrOutcomeUnknown], and its retry with the same key settles it then.
//
// A COMMIT that came back with a warning is unknown too: PostgreSQL gave up
// waiting for its standby, and a failover may lose the transaction. A row alone
// doesn't tell that, so an earlier result is given again only once a later
// commit is known to have reached the standby.
//
// Several commands can also be one, executed together or not at all
// ([Ledger.CommitAll]): the batch's state is put back to where it was before the
// first of them when one is refused.
//
// # What else a payment needs
//
// Beside its accounts a command may name a hold, a transaction that it gives
// back, or what it brings to an end, which happens once. None of these has a lock
// of its own. Whatever changes a hold also locks the hold's account, and whatever gives
// back a transaction locks its accounts; so it is enough to read them once the
// accounts are locked, in the same round trip.
//
// A [Hold] sets money aside. Its row is also the job that expires it: a hold that
// is open and due is found by whichever replica looks first, and nothing can be
// done with it from that moment on, found or not.
//
// Limits ([Rule]) are checked against counters in the account's row, which is
// locked anyway, so no burst on any number of replicas can pass one and none
// waits for a lock more. A counter stands for a window (outgoing per day in
// Jakarta), not for a rule: several rules share it, and a new rule finds what was
// counted. It knows since when it counts; what is given back of something older
// isn't given back to it. Held money counts when it is held. Replicas remember the
// rules and, with each batch that needs them, read whether they have changed.
//
// A sale moves money from a customer to a merchant, and past the terminal where it
// happens. A command names such an owner as its Meter; if rules were ever set for it,
// an account without entries is locked beside the others and does the counting.
//
// Refunds ([Refund]) give back a transaction, in parts, and never more than it
// was. If an operator insists although the money is gone, the receiver's account
// gets a receivable: an account below zero that says what is owed. What comes in
// later repays it first, by a transaction of its own in the same batch. A refund can
// also be taken from accounts that are named for it, one after the other.
//
// Imports carry the time when they happened elsewhere. It must lie behind the
// newest entry of each of their accounts, so that times still never decrease
// along an account's versions.
//
// # What follows the books
//
// Each commit leaves one row in the table events that says which transactions
// it made; their ids are consecutive. Readers follow that table up to the
// snapshot horizon, below which nothing can commit any more. [Ledger.Watch]
// does so to tell a user's streams on any replica that there is something new.
// What a command itself has to tell, each an [Event], stands there, too.
//
// [Verify] proves all of the above from the rows.
package ledger
