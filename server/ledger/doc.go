// Package ledger serves LedgerService, with which operators look at the books
// and correct them. The books themselves are package store/ledger, here called
// books.
//
// Operators see everything, so there is nothing to scope; what they post is
// subject to the same rules as any payment: it balances, takes no account below
// its floor, executes once for its key, and can never be changed again. A
// mistake is corrected by another posting, with the reason in its note and the
// operator's id in its details.
//
// The procedures about holds are in hold.go, those that give back in refund.go,
// those for many transactions at once in bulk.go and importing.go; all others are
// in service.go.
package ledger
