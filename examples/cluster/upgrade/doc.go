// Upgrade replaces one version of Tillbook by another under load, and counts the calls
// that failed.
//
//	make upgrade-test
//	make upgrade-test UPGRADE_FROM=v1.2.0 UPGRADE="-replicas 3 -standbys 2"
//
// It builds the newest tagged version that is behind the current commit, or that
// commit's predecessor, and starts a cluster of it. While people pay, watch and sell
// through the load balancer, it
//
//  1. brings the schema to the current version's and replaces replica by replica, so
//     that both versions serve at once;
//  2. replaces them back, on the new schema, as after a release that went wrong;
//  3. starts a green set of the current version beside the blue one, sends new calls
//     there, and lets the old set drain.
//
// In the end every payment must have been shown to everybody whom it concerns, once,
// no call may have failed, though each is sent once, and `tillbook verify` must
// find the books right. The last line is for machines:
//
//	upgrade-test: calls=… failed=0 rolled=… back=… bluegreen=… lost=0 doubled=0
package main
