// Package store is Tillbook's door to PostgreSQL.
//
// [Open] gives a [Store]: a pool of connections, each of which has taken on the
// role tillbook_app. What that role may do is said by the GRANTs in the
// migrations and nowhere else: it can add to the books but never rewrite them,
// whatever name the server logs in under. [Migrate] and the operators' keys need
// the owner of the schema, and say so.
//
// [Queries] is written by sqlc from store/queries: one method a statement.
// [Store.Queries] runs them one by one, [Store.InTx] in a transaction. A
// function that needs a transaction takes Queries as an argument; only the
// outermost caller opens one.
//
// # Errors
//
// A broken constraint that means something to a caller comes back as a sentinel
// such as [ErrPhoneTaken] (the table is in errors.go), with the driver's error
// wrapped behind it. Two more are about the database itself. [IsUnavailable]
// says that it could not be reached, so nothing is known to be wrong with the
// request. [ErrOutcomeUnknown] says that a COMMIT was sent and its answer never
// came, or came with a warning: the transaction may have happened, and only
// looking for its effect on a new connection tells.
//
// # Time limits
//
// No statement waits for ever, and none of the limits can strike a COMMIT that
// somebody still waits for, because cancelling it would look like success: a
// caller's own cancellation stops before the COMMIT, the COMMIT has a deadline
// of its own, and statement_timeout, set inside each transaction, is longer than
// that.
package store
