// Package seal keeps the books sealed: a transparency log over everything that was
// committed, in which nothing can be changed, removed or slipped in unnoticed.
//
// # The log
//
// Its leaves are transactions ([ledger.Leaf]) and audit records, in an RFC 6962
// Merkle tree kept as tiles of 256 hashes, the layout of C2SP tlog-tiles. The head
// of the tree is signed as a checkpoint, a short text that anyone can keep. With a
// checkpoint and the public key, a [Receipt] proves that its transaction is in the
// log, and two checkpoints prove that the later log begins with the earlier one.
//
// # Sealing
//
// A commit leaves the hashes of what it made in its row of the table events; that
// is all that sealing costs a payment. A [Sealer] comes by a few times a second and
// appends them. One of all replicas does so at a time: whoever gets an
// advisory lock.
//
// Commits are sealed in an order that respects what they depend on. Transaction
// numbers don't: a transaction gets its number before it waits for the locks of one
// with a higher number. Event ids do, since a commit adds its event after it has
// won all its locks. But an event with a lower id may become visible after one with
// a higher id. So a round takes the events in the order of their ids up to the
// first whose transaction number lies at or above the snapshot horizon, below which
// nothing can commit any more. What it leaves is taken by a later round; none is
// skipped, and none waits long.
//
// # Verifying
//
// [Check] rebuilds every leaf from its row and the tree from the leaves, and says
// which row is not what was sealed. Who owns the database can rewrite all of it,
// but not sign the result, nor change the checkpoints that others have kept.
package seal
