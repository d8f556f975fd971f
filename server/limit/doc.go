// Package limit is the service by which operators bound what moves.
//
// The limits themselves are the ledger's: it keeps them in the commit that moves
// the money. Here they are set, listed and looked at; each change is recorded in
// its own transaction, with what was before.
package limit
