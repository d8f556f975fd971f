// Package seal serves the log in which the books are sealed, to whoever wants to
// follow it: over RPC, and as C2SP tlog-tiles over plain HTTP for witnesses. It also
// keeps the key that signs the log. The log itself is package store/seal.
package seal
