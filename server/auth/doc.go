// Package auth registers people by phone number and keeps them signed in.
//
// service.go has the procedures of tillbook.auth.v1.AuthService, one after the
// other; what they are made of is in files named by concept. [Service] is also
// the server's rpc.Authenticator, and serves the keys by which others check its
// tokens ([Service.JWKS]).
//
// # What an attacker doesn't learn
//
// Which phone numbers have an account. Register, Login, StartPasswordReset and
// ResendCode do the same work and give the same answer for a known and for an
// unknown number: the same statements, the same number of argon2id evaluations
// (against a dummy where there is no password), a challenge in either case. A
// challenge that nobody can solve is a decoy: no code that is tried on it is
// right, and after five tries it is dead like any other. Messages leave through
// a queue (outbox.go), so that a gateway's slowness tells nothing.
//
// # What an attacker can't do by asking often
//
// A try of a code is counted by the statement that hands the challenge out, before
// the code is looked at, so any number of parallel guesses on any number of
// replicas evaluates five at most. Limits on failures (limits.go) are taken
// before the outcome is known and given back on success. They are separate for
// devices that were verified before, for addresses and for numbers, so that a
// stranger who fails on purpose doesn't lock the owner out. The memory and the
// processors that passwords may take are bounded, with a bounded queue before
// them (password.go).
//
// # What a thief of the database doesn't get
//
// Passwords are argon2id hashes. Codes are HMACs under a key that is sealed with
// the key from the configuration (keys.go); device and refresh tokens are 256
// random bits and stored as SHA-256. Limits are named by keyed hashes.
//
// # Tokens
//
// An access token is a JWT signed with Ed25519 that lives 15 minutes. A verified
// one is remembered by its hash, so that a call costs a look-up and no signature
// check; no call asks the database. That a session was ended is known at once on
// the replica that ended it and within seconds on the others, which follow the
// table of revocations (revocation.go). A replica that could not do so for half
// a minute no longer vouches for anybody: it answers UNAVAILABLE until it can.
// It fails closed, but not at once, since a database that fails over takes some
// seconds and open streams should live through it.
//
// A refresh token works once. Its successor is derived from it with a keyed
// hash, so that calls which race with the same token, and a client whose answer
// was lost, all get the same successor for some seconds. A token that comes back
// later than that, or an older one, was copied: the session ends, and its device
// must verify a code again.
package auth
