// Package secret holds the keys that a server is given by its configuration, and
// what is made from them.
//
// Secrets that replicas share live in the database, sealed by [Keys.Seal] with
// the row that they belong to as associated data: a dump of the database alone
// opens nothing, and a ciphertext that was moved to another row doesn't open
// either. Keys that need not be stored are derived with [Keys.Derive].
//
// # Where keys come from
//
// A [Source] is a file, an environment variable, or one of these whose keys are
// encrypted by a key management service. It holds one or more keys of 32 bytes in
// base64, separated by spaces, commas or line ends. A word "kms:…" is a key as the
// service encrypted it. The service is asked once for each such word and not for
// each secret: what was opened stays in memory, and a service that is down stops
// only what needs a key that it has never opened for this process.
//
// # How they change
//
// All held keys open; one of them, the one in use, seals, and comes first where
// keys are derived. [Keys.Reload] takes note of a source that changed, but which
// key is in use is for the replicas to agree on (package replica): a new key in
// front of the others is used once all of them hold it there. What was derived
// from a key that is no longer in use is still recognised, until that key is
// retired. A key that vanished from its source stays in memory, so that a mistake
// in a file stops nothing before the next start, which it does refuse.
package secret
