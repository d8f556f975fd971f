// Package hostile attacks a running server and looks at what that does to others.
// It holds tests only.
//
// Most of them run the program as a process of its own, so that its memory can be
// read from outside: how much it had at the peak of an attack. Beside the attack
// an honest customer goes on paying through both doors; that none of their calls
// fails is asserted, how long they take is reported. The rest ask whether anybody
// gets what isn't theirs: every procedure as everybody with another's ids, tokens
// that were forged, signatures that were used before, codes that are guessed on
// three replicas at once.
//
// Under `go test` the attacks are small, so that they fit into every run;
// `make hostile` runs them at full size and prints a table of what was seen.
// That includes a day's worth of mutated messages, 864,000, which is ten a second for
// 24 hours; each follows from a seed that is printed, and `-seed` makes them again.
//
// `make fuzz` runs every decoder of what comes from outside for as long as
// FUZZTIME says; their seeds are run by `go test`.
package hostile
