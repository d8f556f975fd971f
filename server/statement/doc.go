// Package statement writes what happened in an account in a range of time as a
// document: CSV for people, ISO 20022 camt.053 for banks and accountants.
//
// [Export] streams. Entries are read in pages, written and sent in pieces, so
// that a statement of ten million entries takes no more memory than one of ten,
// and no connection of the database waits for a client that reads slowly. The
// entries of a range of versions never change, so the pages belong together
// although each is a query of its own.
//
// A statement ties: the ledger proves on the way that the entries lead from the
// opening to the closing balance, and if they don't, the stream fails rather than
// end.
//
// # Determinism
//
// Nothing in a document depends on when it is asked for. Ids are derived from the
// account and the range, and the creation time of a camt.053 is the end of its
// range. Asking again about the past gives the same bytes, unless transactions
// were imported into it or somebody has another name now. A range that ends in
// the future ends now, and is another one later.
//
// # Camt
//
// The message is camt.053.001.08. The simple types and their rules are those of
// package moov-io/iso20022; its complex types aren't used, since they keep amounts
// in floating point and write both sides of a choice. Those here write what the
// schema demands and are validated, element by element, by the same rules.
package statement
