package server

import (
	"context"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect/v2"

	"github.com/tillbook/tillbook/server/rpc"
)

// interceptors is what every call goes through before its handler, from the
// outside in, whichever door it came by.
func interceptors(cfg *Config, seen *observer, f *front, rules protovalidate.Validator, draining context.Context) []connect.ServerInterceptor {
	limits := cfg.Limits.shields()
	limits.Payment = f.payments
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
		// Whether there is room for it, before it costs anything.
		rpc.LimitAddress(limits, f.gate),
		rpc.Admit(f.gate, f.history),
		// Who calls, and whether they may. The request isn't read before this. What
		// operators call is recorded here, before it is served.
		rpc.Authorize(f.auth, f.terminals, cfg.Sandbox, f.record),
		// Whether they call or pay too often.
		rpc.LimitCaller(limits, f.gate),
		// The rules beside the fields of the request.
		rpc.Validate(rules),
	)
}
