// Package bench measures Tillbook against PostgreSQL's own benchmark on the
// same server in the same run.
//
// Absolute numbers depend on the machine and on what else it is doing; the
// ratio to pgbench says what Tillbook makes of a machine. So each round runs
// every measurement once, in turn, and a round's ratios compare only figures of
// that round; the report gives their medians.
//
// The server is a private PostgreSQL with fsync and synchronous_commit on. The
// measurements are:
//
//   - pgbench: its TPC-B-like transaction, 64 clients: the reference;
//   - single: one caller of the committer, for latency, beside pgbench with one
//     client;
//   - uniform: 256 callers of the committer, transfers between random accounts;
//   - hot: the same, every transfer into one account;
//   - limits: as uniform, but each transfer is checked against three limits, in
//     accounts that have counted before; limits_cost is the share of uniform's rate
//     that this takes. Nothing else is limited: the rules that a database begins
//     with are deleted;
//   - holds and refunds: pairs of a hold and its capture, and of a transfer and a
//     refund of half of it; the rate is that of pairs;
//   - connect and connect-hot: 256 authenticated callers in a process of their
//     own, through the Connect port of a server in a process of its own, whose
//     limits are those of a sandbox, 1,000 times what production allows a caller;
//   - grpc and grpc-hot: the same through the native gRPC port;
//   - bulk, bulk-hot and bulk-1000: an operator posts 100 or 1,000 transfers a call
//     through the native gRPC port, each on its own; the rate is that of transfers,
//     the latency that of calls.
//
// After the rounds a database of its own is filled to 100,000, a million and ten
// million entries, and transfers are measured in it each time, with pgbench right
// beside. At the end, balances and pages of history of random times are looked up
// there, in an account of 10,000 entries and in one of as many as the books grew
// to. The pages of tables and indexes that this touches tell how the cost grows.
//
// While a server runs, its log seals what is committed; seal_lag is the age of
// the oldest commit that isn't sealed, looked at during uniform and grpc.
//
// Every transfer is checked to be executed, and at the end the books are
// verified.
package bench
