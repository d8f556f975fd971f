// Package moneytest tests services that move money as their clients see them.
//
// [New] makes a database; [Books.Replica] starts a server on it, with a pool, a
// ledger and the interceptors that production has, as often as a test wants
// replicas. Calls go through generated clients in the same process, signed in as
// whoever the test says. When the test ends, however it went, the books are
// verified from their rows.
package moneytest
