// Package replica is what the replicas on one database know of each other.
//
// Every few seconds each of them says that it is there: which keys its
// configuration lists, how many connections it may open, what its clock says. That
// is what `tillbook doctor` looks at, and it is how replicas change the key that
// seals what they store without any of them meeting what it can't open:
//
//   - a replica reads its keys again when their source changed, and holds the new
//     ones beside the old;
//   - once every replica that was seen lately lists the same key first, whichever of
//     them notices puts it in use, for all of them and in one transaction with a
//     record of it;
//   - from then on, within one interval, all seal with it. What was sealed or derived
//     with the one before is still opened and recognised;
//   - a key that a command has retired is dropped by all. None is retired while a live
//     replica lacks the one in use, since that one derives from an older one.
//
// A replica that was away meanwhile, however long, seals nothing with a key that was
// retired: what seals looks which key is in use in its own transaction, see [Follow].
//
// A replica that lacks the key in use doesn't start, nor does one outside the sandbox
// that would use the sandbox's key, or a database whose secrets that key opens.
package replica
