// Package rpc is what all services have in common between the wire and their
// handlers: who calls, whether they may, what a failure looks like.
//
// A handler returns an *Error, made with NewError from one of the public reasons
// of tillbook.error.v1, or a sentinel of the packages below it, which the table
// in errors.go translates. Everything else is a fault of ours: the client is
// told INTERNAL and a request id, and the log has the rest.
//
// A handler asks the context for what the interceptors found out before it:
// PrincipalFrom, ClientIP, RequestID.
//
// Who may call what is written in one table, Policies. A procedure that isn't
// there is refused.
package rpc
