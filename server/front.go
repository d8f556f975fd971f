package server

import (
	"context"
	"net/http"

	"connectrpc.com/connect/v2"
	"connectrpc.com/grpcreflect/v2"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/server/seal"
)

// front is what the doors lead to.
type front struct {
	telemetry *telemetry
	auth      rpc.Authenticator
	terminals rpc.TerminalAuthenticator
	// gate turns calls away when there are too many.
	gate *rpc.Gate
	// history puts what can wait where it keeps nothing else waiting.
	history func(context.Context) context.Context
	// payments says who pays too often; nil for nobody.
	payments func(rpc.Principal) error
	// ping says whether the database answers.
	ping func(context.Context) error
	// record writes audit records.
	record rpc.RecordFunc
	// register adds the services.
	register func(*connect.Server)
	// keys serves the public keys that verify access tokens.
	keys http.Handler
	// log serves the log to those who follow it.
	log *seal.Service
}

// mount puts f behind both doors.
func (s *Server) mount(f front) error {
	seen, err := f.telemetry.observer(&s.cfg)
	if err != nil {
		return err
	}
	rules, err := rpc.NewValidator()
	if err != nil {
		return err
	}
	site, err := s.cfg.site()
	if err != nil {
		return err
	}
	if f.gate == nil {
		f.gate = rpc.NewGate(s.cfg.Room, s.cfg.Logger)
	}
	if f.history == nil {
		f.history = func(ctx context.Context) context.Context { return ctx }
	}
	if err := watchGate(f.telemetry.meter, f.gate); err != nil {
		return err
	}
	if err := s.arriving.watch(f.telemetry.meter); err != nil {
		return err
	}
	calls := connect.NewServer(interceptors(&s.cfg, seen, &f, rules, s.draining)...)
	calls.SetUnknownHandler(rpc.UnknownProcedure)
	f.register(calls)
	ready := &readiness{unready: s.unready, ping: f.ping}
	registerHealth(calls, ready)
	grpcreflect.Register(calls)

	s.http = newHTTPDoor(s.unready, &s.cfg, calls, seen, site, s.arriving, map[string]http.Handler{
		"GET /healthz":               http.HandlerFunc(serveLive),
		"GET /readyz":                http.HandlerFunc(ready.serve),
		"GET /metrics":               promhttp.HandlerFor(f.telemetry.registry, promhttp.HandlerOpts{}),
		"GET /.well-known/jwks.json": f.keys,
		"GET /checkpoint":            http.HandlerFunc(f.log.Checkpoint),
		"GET /tile/{path...}":        http.HandlerFunc(f.log.Tile),
		"GET /log-key":               http.HandlerFunc(f.log.VerifierKey),
	})
	if s.grpcListener != nil {
		s.grpc = newGRPCDoor(&s.cfg, calls, seen, s.arriving)
	}
	return nil
}
