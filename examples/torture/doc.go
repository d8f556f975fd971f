// Torture breaks a running deployment in one way after the other, while people pay
// each other, and proves that nothing got lost or doubled.
//
//	make torture
//	make torture SCENARIOS="primary-kill disk-full"
//	make torture-short
//
// The deployment is that of examples/cluster: three replicas behind HAProxy on a
// primary and two synchronous standbys under Patroni. Between the replicas, the
// database nodes and etcd are links that can be slowed, silenced and cut. One
// deployment serves all scenarios, so each also begins where the last one left off.
//
// # A scenario
//
// Package mix makes the traffic, and package record keeps what it asked for and
// learned. After a few seconds comes the fault, which ends by itself, then the time
// until everything is whole again, then a few seconds more. Callers go on asking with
// the same idempotency keys until they know the outcome of everything, and package
// oracle compares what they know with the books.
//
// The table says of each scenario how many operations there were, how many that were
// acknowledged are lost, how many were executed twice, after how many attempts the
// client didn't know what became of its money, for how long attempts failed, and how
// long after the end of the fault, or after what was killed was killed, the last one
// failed and the terminals were back. Below are what the oracle found where a scenario
// fails, and what else there is to know; with -history all that was recorded is in a
// file a scenario.
//
// # Faults that need explaining
//
// A clock that is wrong is that of a server built with a standard library whose
// time.Now adds an offset that a file names; the server's own code is as it is
// (overlay.go). Answers to COMMIT are dropped by a toxic that reads PostgreSQL's
// protocol and loses the message that says COMMIT, now with the connection and now
// without a word. A disk is full because it is a small tmpfs that is mounted and filled,
// which takes root. An old primary that is cut off keeps one replica, and loses etcd,
// its standbys and the other replicas.
//
// An overload is ten times what the deployment can do, which is measured just before, by
// as many callers as give the most: payments, histories and watches, offered in an open
// loop (package flood), which has the same two processors as all the rest. Beside the
// steady mix, which must go on paying, payments that were authorized before are captured.
// Every payment of the flood is looked for in the books, too, and counts in the table.
//
// # A fault that doesn't happen
//
// proves nothing, so each scenario looks whether its fault did, and fails if not: what is
// killed was alive and is another process in the end, what is slow, silent or throttled is
// so for a connection of the scenario's own, a clock is wrong in what its server answers,
// PostgreSQL says that it misses room. All replicas must have had calls before, and every
// kind of operation, sign-ins too, must have been acknowledged both before the fault and
// after it.
//
// # Why to believe it
//
// Each of the following was planted in a copy of the source, and found:
//
//	acknowledged before the commit            by replica-kill, commit-lost, slow-500
//	events read past the snapshot horizon     by replica-kill, slow-500
//	a retry under a new key                   by commit-lost, balancer-kill
//	connections to a primary that was demoted by primary-kill
//	a terminal's older session not fenced     by replica-kill
//	a key that makes a checkout anew          by commit-lost
package main
