// Package flood offers a server more calls than it can answer, at a rate that doesn't
// depend on the answers: an open loop, which is what many clients are that don't know of
// each other. To have enough left of the machine that the server runs on, it speaks
// HTTP/2 and the Connect protocol itself, with requests that are made beforehand, and
// reads of the answers no more than what became of the call.
//
// Every call has a deadline, which the server is told, and no more than some hundreds are
// under way on a connection. What finds no room on any of them isn't offered, and is
// counted as that.
package flood
