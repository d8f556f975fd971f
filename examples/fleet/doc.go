// Fleet puts thousands of terminals online at once, has customers pay at them, kills
// a replica and counts what got lost.
//
//	make fleet
//	bin/fleet -terminals 1000 -payments 50
//
// It starts two replicas of bin/tillbook as child processes, on one private
// PostgreSQL in a folder of its own, and several client processes, which are this
// program again. Terminals share connections, as those of a shop behind one gateway
// do; that, and the limit on open files, is why there are fewer connections than
// terminals.
//
// # What a shop's address is
//
// Activations are rate-limited by address, as a shop activates a few terminals and
// not thousands. The replicas are told to trust this machine as a load balancer
// (--trusted-proxies), and each client connection says in X-Forwarded-For which shop
// it comes from.
//
// # What it measures
//
// Handshakes a second, while each client process has a bounded number of them under
// way. Memory is the resident memory of both replicas, less that of the same replicas
// before the first terminal existed, over the number of terminals. The cost of
// heartbeats is the CPU time of replicas and database while nothing else happens.
// Push latency is from a checkout's close_time, which is taken before the commit, to
// when the terminal has the event; it includes the commit. A probe writes to the same
// disk meanwhile, as a reference: what a commit waits for there, no push can beat.
//
// # What it proves
//
// After one replica is killed with SIGKILL under load, all of its terminals must come
// back to the other one, each after a random wait. Every checkout that was made must
// have been offered, and every payment that was answered must have been told, to its
// terminal, once. Customers try a payment whose answer was lost again with the same
// idempotency key; in the end what they have left, and what the merchants have, must
// be exactly what the payments say, and `tillbook verify` must find the books right.
package main
