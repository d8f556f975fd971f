// Package embedded runs a private PostgreSQL server: for development, for tests,
// and for a Tillbook that lives on one machine.
//
// It brings no server along but finds the one that is installed (see [Find]).
// [Start] makes the data folder on its first use and runs the server for as long
// as this process lives; a later Start goes on with the same data. Nothing that
// holds data is ever deleted or written over: a folder that holds something
// else, was made by another major version, or is in use is refused with a
// sentence that says what to do. [StartTemporary] is the exception in its name:
// it makes a folder of its own and takes it away at the end.
//
// # The folder
//
//	data/            PostgreSQL's own files
//	password         of the owner role, made at random, readable by its user only
//	port             on 127.0.0.1, kept from run to run while it is free
//	postgres.log     what the server has to say
//	tillbook.lock    locked by the process that runs the server
//	postgres.lock    locked by the server itself
//
// # Whose rights
//
// The server listens on the loopback interface and asks for the password, so
// other users of a shared machine stay outside. PostgreSQL refuses to run as
// root; then it runs as the user postgres, or nobody where there is none. It
// needs to reach the folder but not to read anything else; only where a folder
// above is closed to that user, as root's home usually is, does the server get a
// capability of Linux that opens it (CAP_DAC_READ_SEARCH, if there is that one to
// give), which then lets the database's owner, and nobody else, read files
// through it.
//
// # The end
//
// A watchdog, a shell that waits at a pipe, shuts the server down when this
// process is gone in whatever way. Should both be killed, the server stays
// behind, still holding postgres.lock; the next Start shuts it down properly
// before it starts its own, so that the settings are always those asked for. A
// server killed without warning recovers by itself at its next start.
package embedded
