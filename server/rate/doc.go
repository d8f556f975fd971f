// Package rate says when somebody has asked too often, counted over all
// replicas together.
//
// Each pair of a [Rule] and a subject (an address, a phone number, a user) has a
// bucket of tokens in PostgreSQL. A call takes one; a bucket refills at a steady
// rate. This is the generic cell rate algorithm: a bucket is a single time, and
// taking a token is a single upsert, so that racing replicas can't take the same
// token twice.
//
// Rows are named by a keyed hash, never by the subject itself: a dump of the
// table tells nobody's number or address. Buckets that are full again are the
// same as no row and are deleted by [Limiter.Sweep].
//
// What happens too often for that is counted by a [Tally], a moment late, and a
// [Shield] counts on its own, without a database.
//
// Time is the replica's own clock, so replicas should agree on it to within some
// seconds, as NTP sees to.
package rate
