// Package merchant lets merchants sell.
//
// A user creates a merchant and owns it; others work there as managers and cashiers,
// invited by phone number. Every procedure that is about a merchant begins by asking
// package staff for the caller's role, so somebody else's merchant is not found and a
// role that isn't enough is refused, before anything is looked at.
//
// # Money
//
// What customers pay comes into the merchant's pending account of the asset, less
// the fee. A settlement moves all of it to the available account, and from there the
// owner takes it to their own wallet. Refunds take from pending first, so that can
// be less than was sold, but never less than nothing.
//
// # Settlements
//
// All replicas run the [Settler]; what each does is done once. A settlement by the
// clock is a command of the ledger whose key is made of the account and the time that
// was due, one at once is made of the account and the entry up to which it was settled
// before. So replicas that settle at the same time, and one that comes back after a
// crash, give the same key, and the ledger moves the money for the first of them.
//
// The document comes after the money and is made of nothing but the books: it covers
// the entries of the pending account between two settlements. Since a settlement
// leaves nothing pending, these add up to what it moved. A sale that the fee takes all
// of makes no entry there and is in no document, but in its day's report. When a replica dies between
// the two, the next one finds an account with a settlement behind the last document
// and writes what is missing.
//
// # Time
//
// Days and due times are those of the wall clock in the merchant's time zone. A time
// that a day doesn't have is the first one behind the gap, one that it has twice is
// the first of the two. The database's clock says what time it is.
package merchant
