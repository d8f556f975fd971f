package server

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/tillbook/tillbook/server/rate"
	"github.com/tillbook/tillbook/server/rpc"
)

// Limits say how often something may be done. Those of payments and checkouts are
// counted over all replicas together, a fraction of a second late (see rate.Tally);
// Address and Caller are shields that each replica has for itself.
type Limits struct {
	// PaymentsUser, PaymentsTerminal and PaymentsOperator bound the payments that one
	// of them begins.
	PaymentsUser, PaymentsTerminal, PaymentsOperator rate.Rule
	// CheckoutsMerchant bounds the checkouts that are made for one merchant.
	CheckoutsMerchant rate.Rule
	// Address bounds all calls from one address, but this machine's own.
	Address rate.Rule
	// Caller bounds all calls of one user, terminal or operator.
	Caller rate.Rule
}

// DefaultLimits returns the limits for production: more than anybody needs who means
// well.
func DefaultLimits() Limits {
	return Limits{
		PaymentsUser:      rate.Rule{Name: "payments.user", Per: 20 * time.Millisecond, Burst: 1000},
		PaymentsTerminal:  rate.Rule{Name: "payments.terminal", Per: 100 * time.Millisecond, Burst: 200},
		PaymentsOperator:  rate.Rule{Name: "payments.operator", Per: 100 * time.Microsecond, Burst: 100_000},
		CheckoutsMerchant: rate.Rule{Name: "checkouts.merchant", Per: 2 * time.Millisecond, Burst: 20_000},
		Address:           rate.Rule{Name: "shield.address", Per: 500 * time.Microsecond, Burst: 8000},
		Caller:            rate.Rule{Name: "shield.caller", Per: time.Millisecond, Burst: 20_000},
	}
}

// sandboxRoom is how many times as much a sandbox's limits allow: there a few people
// are many.
const sandboxRoom = 1000

// Times returns limits that allow n times as much.
func (l Limits) Times(n int) Limits {
	for _, rule := range []*rate.Rule{
		&l.PaymentsUser, &l.PaymentsTerminal, &l.PaymentsOperator, &l.CheckoutsMerchant, &l.Address, &l.Caller,
	} {
		*rule = rule.Times(n)
	}
	return l
}

// subjectOf is whose calls count together.
func subjectOf(p rpc.Principal) uuid.UUID {
	switch p.Kind {
	case rpc.KindOperator:
		return p.Operator
	case rpc.KindTerminal:
		return p.Terminal
	default:
		return p.User
	}
}

// shields are the limits that need no database.
func (l *Limits) shields() rpc.CallLimits {
	addresses, callers := rate.NewShield[netip.Addr](l.Address), rate.NewShield[uuid.UUID](l.Caller)
	return rpc.CallLimits{
		Address: addresses.Allow,
		Caller:  func(p rpc.Principal) error { return callers.Allow(subjectOf(p)) },
	}
}

// payments counts who begins how many.
func (l *Limits) payments(t *rate.Tally) func(rpc.Principal) error {
	return func(p rpc.Principal) error {
		rule := l.PaymentsUser
		switch p.Kind {
		case rpc.KindOperator:
			rule = l.PaymentsOperator
		case rpc.KindTerminal:
			rule = l.PaymentsTerminal
		}
		return t.Allow(rule, subjectOf(p).String())
	}
}

// watchGate counts what is turned away.
func watchGate(meter metric.Meter, g *rpc.Gate) error {
	attributes := make(map[rpc.Priority]metric.MeasurementOption)
	for _, p := range rpc.Priorities() {
		attributes[p] = metric.WithAttributes(attribute.String("priority", p.String()))
	}
	shed, err := meter.Int64ObservableCounter("rpc.server.shed", metric.WithUnit("{call}"),
		metric.WithDescription("Calls that were turned away because there were too many."))
	if err != nil {
		return fmt.Errorf("metric rpc.server.shed: %w", err)
	}
	open, err := meter.Int64ObservableGauge("rpc.server.open", metric.WithUnit("{call}"),
		metric.WithDescription("Calls and streams that are under way."))
	if err != nil {
		return fmt.Errorf("metric rpc.server.open: %w", err)
	}
	limit, err := meter.Int64ObservableGauge("rpc.server.limit", metric.WithUnit("{call}"),
		metric.WithDescription("How many calls but payments may be under way, as it was adapted."))
	if err != nil {
		return fmt.Errorf("metric rpc.server.limit: %w", err)
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for p, with := range attributes {
			o.ObserveInt64(shed, g.Turned(p), with)
			o.ObserveInt64(open, g.Open(p), with)
		}
		o.ObserveInt64(limit, int64(g.Limit()))
		return nil
	}, shed, open, limit)
	return err
}
