// Package storetest gives every test a real database of its own.
//
// [New] clones one that is migrated already, in some hundredths of a second, and
// drops it when the test ends, so tests share nothing and run in parallel. The
// server behind it is the one that TILLBOOK_TEST_DATABASE_URL names; the program
// in testserver starts one for a whole run of go test. Without the variable a
// test process starts a private one, which ends with it.
//
// These servers don't write through to the disk (fsync is off): what a test may
// learn from a crash of the machine it learns from [NewServer], which is the
// test's own to stop, kill and start again. In a run that testserver starts, its
// data is a copy of what the first of them made.
package storetest
