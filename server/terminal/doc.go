// Package terminal serves TerminalService: the staff that looks after terminals,
// and the terminals themselves.
//
// # Who a terminal is
//
// A device makes its own Ed25519 key and binds it to a terminal with a code that
// works once. From then on it signs an assertion for each call; package rpc asks
// [Service.AuthenticateTerminal] before it reads the request. Nothing on the wire
// can be used again: an assertion's id is taken by a row that only one of all
// replicas can insert.
//
// # What a session sends
//
// Everything that a terminal is told is a row of the table events, written in the
// transaction of what happened. One follower a replica reads all terminals' rows in
// the order (xid, id), never beyond the snapshot horizon, and hands each to the
// session that is connected here; rows of others it passes over. A row's sequence
// is its xid and its place among the terminal's rows of that xid, so every replica
// gives it the same number without writing anything.
//
// A session that begins is registered first, at the follower's position; what lies
// before that position it reads itself, from what its device acknowledged on, and
// what comes after it gets from the follower. So nothing falls in between, and
// nothing comes twice. Acknowledgements are written in batches: one that is lost
// only means that messages are sent again, which the device drops. A device is
// believed to have taken only what its terminal has; if it names another message it is
// told after which one to go on.
//
// # One at a time
//
// Each session takes the next epoch from its terminal's row. Older sessions end,
// wherever they are, by an event of the subject session/<terminal>, which devices
// never see. A session that registers looks at the row once more, in case the event
// came too early for it.
//
// A device names the last epoch that it knows. It keeps each epoch before it sends
// anything in its session, so once something came, any Hello that names an older
// epoch is from another device with the same key. A device that never got its
// Welcome names the epoch before, which nothing has confirmed since, and is let in.
//
// # What it costs
//
// An idle session is two goroutines, its handler's and its reader's. What a session
// begins with runs aside, so that neither keeps the stack that a query needs. What is
// sent goes through a bounded queue, and a third goroutine that lives while there is
// something in it; a device that doesn't read loses its session, not its messages.
package terminal
