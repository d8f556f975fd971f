// Package secret holds the one secret that a server is given by its
// configuration, and what is made from it.
//
// Secrets that replicas share live in the database, sealed by [Keys.Seal] with
// the row that they belong to as associated data: a dump of the database alone
// opens nothing, and a ciphertext that was moved to another row doesn't open
// either. Keys that need not be stored are derived with [Keys.Derive].
//
// The configuration holds one or more keys of 32 bytes in base64, separated by
// spaces, commas or line ends. The first seals and derives, all of them open: to
// replace a key, put a new one in front on every replica and drop the old one
// once everything that it sealed has been replaced.
package secret
