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
//   - connect and connect-hot: 256 authenticated callers in a process of their
//     own, through the Connect port of a server in a process of its own;
//   - grpc and grpc-hot: the same through the native gRPC port.
//
// Every transfer is checked to be executed, and at the end the books are
// verified.
package bench
