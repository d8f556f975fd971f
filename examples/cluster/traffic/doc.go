// Package traffic is honest users of a cluster, through its load balancer and over TLS,
// with the SDKs that partners have: people who pay each other and watch their wallets,
// and tills that sell to them over the native gRPC door. They keep a book of what was
// promised to them and what they saw, so that after an upgrade or a failover it can be
// said that no call failed, no payment was lost and none was shown twice.
//
// A call counts as failed only when the SDK gives up on it: trying again behind its
// user's back is what the SDK is for.
package traffic
