// Package stack runs a whole deployment of Tillbook on one machine, out of the
// configuration files that a real one would start from: replicas behind HAProxy,
// PostgreSQL as a primary and synchronous standbys under Patroni and etcd, Prometheus
// and Alertmanager, and receivers of traces and alerts. Everything listens on
// 127.0.0.1. Programs that break things use it, and the tests of these.
//
//	s, err := stack.Start(ctx, stack.Options{Binary: "bin/tillbook", HAProxy: true})
//	if err != nil { … }        // says what isn't installed, or which port is taken
//	defer s.Close()            // ends all and leaves nothing behind
//
//	client, err := tillbook.New(s.URL(), tillbook.WithHTTPClient(…s.TLS()…))
//	primary, err := s.Primary(ctx)
//	primary.Kill()             // the whole node; Patroni hands over within 20 to 30 s
//	_, err = s.AwaitPrimary(ctx, primary)
//	err = primary.Start()      // comes back as a standby
//	err = s.AwaitSynchronous(ctx, 2)
//
// # Parts
//
// Each part is a [Process], with Start, Term (SIGTERM, and waiting), Kill (SIGKILL),
// Freeze and Thaw (SIGSTOP and SIGCONT), Signal, Running, Ended, PID and Log:
//
//   - [Stack.Replica] and [Stack.Replicas]: HTTP and Native are a replica's own
//     doors, Ready waits for it, StartBinary runs another version in its place;
//   - [Stack.Node], [Stack.Nodes], [Stack.Primary]: a node is Patroni with its
//     PostgreSQL. Kill and Freeze take both; KillPostgres only PostgreSQL, which
//     Patroni then replaces; Isolate cuts the node off from etcd and its standbys but
//     not from its clients, until Rejoin;
//   - [Stack.EtcdMembers];
//   - [Stack.HAProxy]: Reload, and Command for its runtime API.
//
// A client tells itself from others by its address: HAProxy passes it on in
// X-Forwarded-For, and replicas trust 127.0.0.1 alone, so that a client that dials
// from another address of 127.0.0.0/8 is somebody else to the limits by address, and
// its traces are linked instead of continued.
//
// # The network
//
// With Options.Proxied each replica has a [Link] to each database node, in
// [Replica.Links], and so have the nodes among themselves: Down and Up, Delay,
// Throttle, Silence (half-open), Deafen (answers to commits get lost), Add for any
// toxic of toxiproxy, and Heal.
//
// # What is promised
//
// With two standbys, a commit is acknowledged once both have it on disk, or once the
// one that is left has it after Patroni took the other off the list, which takes 2 s
// for one that died and 7 s for one that fell silent. Only a node on that list may
// take over, and with none left commits wait (synchronous_mode_strict). So no
// acknowledged commit is lost with one or two nodes gone for good, however they went
// one after the other; with one gone the database serves again after at most 20 s of
// lease and an election, with two gone it reads but doesn't write until one is back.
// If two go in the same moment, of which one was the primary, the third takes over:
// it has all that was acknowledged.
//
// # Upgrades
//
// [Stack.Migrate] brings the schema up. Replicas then roll one by one: Term,
// StartBinary, Ready. Or by colours: [Stack.StartGreen] starts another set,
// [Stack.Switch] sends new calls to it, and Term drains the old one.
package stack
