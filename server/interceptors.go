package server

import (
	"context"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect/v2"

	"github.com/tillbook/tillbook/server/rpc"
)

// interceptors is what every call goes through before its handler, from the
// outside in, whichever door it came by.
func interceptors(cfg *Config, seen *observer, auth rpc.Authenticator, terminals rpc.TerminalAuthenticator, rules protovalidate.Validator, record rpc.RecordFunc, draining context.Context) []connect.ServerInterceptor {
	list := []connect.ServerInterceptor{
		// Its id, its policy, and where it comes from.
		rpc.Begin(rpc.Policies, cfg.TrustedProxies),
	}
	if seen.trace != nil {
		// A span, if traces are exported.
		list = append(list, seen.trace)
	}
	return append(list,
		// A count, a duration, and a line in the log if it fails.
		seen.observe,
		// Every error into one that clients understand.
		rpc.Translate(),
		// A panic into an error.
		rpc.Recover(),
		// A deadline, or an end to the stream.
		rpc.Bound(rpc.Limits{
			Timeout:    cfg.CallTimeout,
			MaxTimeout: cfg.MaxCallTimeout,
			StreamAge:  cfg.StreamAge,
			Draining:   draining,
		}),
		// Who calls, and whether they may. The request isn't read before this. What
		// operators call is recorded here, before it is served.
		rpc.Authorize(auth, terminals, cfg.Sandbox, record),
		// The rules beside the fields of the request.
		rpc.Validate(rules),
	)
}
