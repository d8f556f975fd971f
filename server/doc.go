// Package server is a Tillbook replica: it opens the database, puts the services
// behind two doors and runs until it is told to stop.
//
// New does all that can fail and holds the addresses; Run serves; both leave
// through the same Close. A replica keeps nothing that another could not pick
// up, so any number of them may serve one database.
//
// The two doors lead to the same procedures through the same interceptors, which
// interceptors.go lists in order:
//
//   - Config.Listen speaks Connect, gRPC and gRPC-Web on net/http, over HTTP/1.1
//     and HTTP/2 without TLS, beside the probes, the metrics and the public keys.
//   - Config.GRPCListen, if set, is served by grpc-go, which answers small calls
//     and idle streams at less than half of the cost, and moves connections on.
//
// A replica that stops says so first: /readyz fails and streams are told to go
// elsewhere, then connections are drained for a bounded time, then the ledger's
// queue is emptied and the database let go.
package server
