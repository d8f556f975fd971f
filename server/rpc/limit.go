package rpc

import (
	"context"
	"net/netip"

	"connectrpc.com/connect/v2"
)

// CallLimits say who calls too often. Each fails with RATE_LIMITED, and costs the
// database nothing. Nil ones allow everything.
type CallLimits struct {
	// Address is asked before anything else is done for a call.
	Address func(netip.Addr) error
	// Caller is asked once it is known who calls.
	Caller func(Principal) error
	// Payment is asked for calls that begin a payment.
	Payment func(Principal) error
}

// LimitAddress turns floods from one address away. The machine's own addresses are
// those of proxies and tests, and count only behind a trusted proxy.
func LimitAddress(limits CallLimits, g *Gate) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			c := callFrom(ctx)
			if a := c.clientIP; limits.Address != nil && a.IsValid() && !a.IsLoopback() && !c.policy.Plumbing {
				if err := limits.Address(subjectAddr(a)); err != nil {
					return g.flood(c.policy.priorityOf(spec.Procedure), err)
				}
			}
			return next(ctx, spec, stream)
		}
	}
}

// subjectAddr is the address that counts. Whoever has one IPv6 address has 2⁶⁴ of
// them.
func subjectAddr(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a
	}
	return netip.PrefixFrom(a.WithZone(""), 64).Masked().Addr()
}

// LimitCaller turns floods of one caller away, and who pays too often.
func LimitCaller(limits CallLimits, g *Gate) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			c := callFrom(ctx)
			if c.principal.Kind == KindAnonymous {
				return next(ctx, spec, stream)
			}
			p := c.policy.priorityOf(spec.Procedure)
			if limits.Caller != nil {
				if err := limits.Caller(c.principal); err != nil {
					return g.flood(p, err)
				}
			}
			if limits.Payment != nil && p == PriorityPayment {
				if err := limits.Payment(c.principal); err != nil {
					return err
				}
			}
			return next(ctx, spec, stream)
		}
	}
}

// flood counts what a shield turned away, and keeps it out of the log, one line each.
func (g *Gate) flood(p Priority, err error) error {
	g.shed[p].Add(1)
	return AsError(err).WithCause(&Shed{p})
}
