package server

import (
	"context"
	"time"

	"connectrpc.com/connect/v2"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/reflect/protoreflect"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/server/rpc"
)

// healthInterval is how often a watched status is looked at anew.
const healthInterval = 5 * time.Second

// health serves grpc.health.v1.Health. The services of a replica are healthy
// together or not at all: they share one database.
type health struct {
	ready    *readiness
	services map[string]bool
}

// registerHealth adds the health service for all services of calls so far.
func registerHealth(calls *connect.Server, ready *readiness) {
	h := &health{ready: ready, services: map[string]bool{"": true}}
	for spec := range calls.Specs() {
		service, _ := splitProcedure(spec.Procedure)
		h.services[service] = true
	}
	methods := healthv1.File_grpc_health_v1_health_proto.Services().ByName("Health").Methods()
	method := func(name protoreflect.Name, kind connect.StreamType, handler connect.ServerFunc) connect.Method {
		return connect.Method{
			Spec: connect.Spec{
				StreamType: kind,
				Schema:     methods.ByName(name),
				Procedure:  "/grpc.health.v1.Health/" + string(name),
			},
			Handler: handler,
		}
	}
	calls.Register(
		method("Check", connect.StreamTypeUnary, h.check),
		method("List", connect.StreamTypeUnary, h.list),
		method("Watch", connect.StreamTypeServer, h.watch),
	)
}

func (h *health) status(ctx context.Context) healthv1.HealthCheckResponse_ServingStatus {
	if h.ready.check(ctx) != nil {
		return healthv1.HealthCheckResponse_NOT_SERVING
	}
	return healthv1.HealthCheckResponse_SERVING
}

func (h *health) check(ctx context.Context, _ connect.Spec, stream connect.ServerStream) error {
	var req healthv1.HealthCheckRequest
	if err := stream.Receive(&req); err != nil {
		return err
	}
	if !h.services[req.GetService()] {
		return rpc.NewError(errorv1.ErrorReason_ERROR_REASON_NOT_FOUND, "This server has no such service.")
	}
	return stream.Send(&healthv1.HealthCheckResponse{Status: h.status(ctx)})
}

func (h *health) list(ctx context.Context, _ connect.Spec, stream connect.ServerStream) error {
	var req healthv1.HealthListRequest
	if err := stream.Receive(&req); err != nil {
		return err
	}
	status := h.status(ctx)
	res := &healthv1.HealthListResponse{Statuses: make(map[string]*healthv1.HealthCheckResponse, len(h.services))}
	for service := range h.services {
		res.Statuses[service] = &healthv1.HealthCheckResponse{Status: status}
	}
	return stream.Send(res)
}

// watch sends the status now and whenever it changes. Its last word on a replica
// that stops is NOT_SERVING.
func (h *health) watch(ctx context.Context, _ connect.Spec, stream connect.ServerStream) error {
	var req healthv1.HealthCheckRequest
	if err := stream.Receive(&req); err != nil {
		return err
	}
	tick := time.NewTicker(healthInterval)
	defer tick.Stop()
	last := healthv1.HealthCheckResponse_UNKNOWN
	for {
		status := healthv1.HealthCheckResponse_SERVICE_UNKNOWN
		if h.services[req.GetService()] {
			status = h.status(ctx)
		}
		if status != last {
			last = status
			if err := stream.Send(&healthv1.HealthCheckResponse{Status: status}); err != nil {
				return err
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if h.ready.unready.Err() != nil {
				return stream.Send(&healthv1.HealthCheckResponse{Status: healthv1.HealthCheckResponse_NOT_SERVING})
			}
			return ctx.Err()
		}
	}
}
