package rpc

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
)

// Domain is the domain of the ErrorInfo in every error.
const Domain = "tillbook"

// defaultRetry is how long clients should wait after an error of a reason that
// passes by itself, when the error doesn't say.
var defaultRetry = map[errorv1.ErrorReason]time.Duration{
	errorv1.ErrorReason_ERROR_REASON_OVERLOADED:      250 * time.Millisecond,
	errorv1.ErrorReason_ERROR_REASON_UNAVAILABLE:     time.Second,
	errorv1.ErrorReason_ERROR_REASON_OUTCOME_UNKNOWN: time.Second,
	errorv1.ErrorReason_ERROR_REASON_RATE_LIMITED:    time.Second,
}

// Translate makes every error one that clients understand: the Connect code of
// its reason, an ErrorInfo, and what else helps. The original stays inside as
// the cause, for the log.
func Translate() connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			c := callFrom(ctx)
			err := next(ctx, spec, &translatingStream{
				ServerStream: stream,
				call:         c,
				answers:      spec.StreamType == connect.StreamTypeUnary,
			})
			if err == nil {
				return nil
			}
			return c.public(AsError(err))
		}
	}
}

// Refuse is the error of a call that failed before any interceptor saw it.
func Refuse(requestID, procedure string, err *Error) *connect.Error {
	return (&call{requestID: requestID, policy: Policies[procedure]}).public(err)
}

func (c *call) public(e *Error) *connect.Error {
	out := connect.NewError(e.Code(), e.message).WithCause(e)
	metadata := map[string]string{"request_id": c.requestID}
	for k, v := range e.metadata {
		metadata[k] = v
	}
	out = withDetail(out, &errdetails.ErrorInfo{
		Reason: ReasonName(e.reason), Domain: Domain, Metadata: metadata,
	})
	if len(e.fields) > 0 {
		bad := &errdetails.BadRequest{}
		for _, f := range e.fields {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
				Field: f.Path, Description: f.Description, Reason: f.Rule,
			})
		}
		out = withDetail(out, bad)
	}
	retry := e.retry
	if retry <= 0 {
		retry = defaultRetry[e.reason]
	}
	if retry > 0 {
		out = withDetail(out, &errdetails.RetryInfo{RetryDelay: durationpb.New(retry)})
	}
	if c.policy.Money {
		out = withDetail(out, &errorv1.OutcomeInfo{Outcome: c.outcome(e)})
	}
	return out
}

// outcome says what became of the money. The ledger's errors are exact about
// it; of a fault of ours in the midst of a handler nobody can tell.
func (c *call) outcome(e *Error) errorv1.Outcome {
	switch {
	case e.outcome != errorv1.Outcome_OUTCOME_UNSPECIFIED:
		return e.outcome
	case c.executed:
		return errorv1.Outcome_OUTCOME_EXECUTED
	case e.reason == errorv1.ErrorReason_ERROR_REASON_OUTCOME_UNKNOWN:
		return errorv1.Outcome_OUTCOME_UNKNOWN
	case e.reason == errorv1.ErrorReason_ERROR_REASON_INTERNAL && c.attempted:
		return errorv1.Outcome_OUTCOME_UNKNOWN
	default:
		return errorv1.Outcome_OUTCOME_NOT_EXECUTED
	}
}

func withDetail(err *connect.Error, msg proto.Message) *connect.Error {
	detail, packErr := connectproto.NewErrorDetail(msg)
	if packErr != nil {
		return err.WithCause(packErr)
	}
	return err.WithDetail(detail)
}

// translatingStream knows that what fails here is the transport, not the
// handler.
type translatingStream struct {
	connect.ServerStream
	call *call
	// answers is true if a message sent is the answer to the whole call.
	answers bool
}

func (s *translatingStream) Receive(msg any) error {
	err := s.ServerStream.Receive(msg)
	if err == nil || err == io.EOF { //nolint:errorlint // the end of a stream is io.EOF itself
		return err
	}
	return fromReceive(err)
}

func (s *translatingStream) Send(msg any) error {
	if s.answers && s.call.policy.Money {
		s.call.executed = true
	}
	err := s.ServerStream.Send(msg)
	if err == nil {
		return nil
	}
	return fromSend(err)
}

// fromReceive says what was wrong with a request that couldn't be read. Its
// cause is left out where it may quote the request, so that no password gets
// into the log.
func fromReceive(err error) error {
	if own, ok := errors.AsType[*Error](err); ok { // a door cut it off
		return own
	}
	e, ok := errors.AsType[*connect.Error](err)
	if !ok {
		if errors.Is(err, io.EOF) {
			return err
		}
		return AsError(err)
	}
	switch e.Code() {
	case connect.CodeCanceled:
		return NewError(errorv1.ErrorReason_ERROR_REASON_CANCELED, "The call was canceled.").WithCause(err)
	case connect.CodeDeadlineExceeded:
		return NewError(errorv1.ErrorReason_ERROR_REASON_DEADLINE_EXCEEDED, "The request didn't arrive in time.").WithCause(err)
	case connect.CodeResourceExhausted:
		return NewError(errorv1.ErrorReason_ERROR_REASON_MESSAGE_TOO_LARGE, "The message is larger than the server reads.").WithCause(err)
	case connect.CodeUnimplemented:
		return NewError(errorv1.ErrorReason_ERROR_REASON_UNIMPLEMENTED, "The call needs exactly one request message.").WithCause(err)
	case connect.CodeInvalidArgument:
		return NewError(errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "The request can't be decoded: %s", decodeMessage(e))
	default:
		if errors.Is(err, io.EOF) && errors.Is(e.Unwrap(), io.EOF) {
			return err
		}
		return NewError(errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "The request can't be read to its end.")
	}
}

// decodeMessage is what the decoder said, without the wrapping that is of no use
// to the client.
func decodeMessage(err *connect.Error) string {
	msg := strings.TrimPrefix(err.Message(), "unmarshal message: ")
	msg = strings.TrimPrefix(msg, "proto:")
	return strings.TrimLeft(msg, " \u00a0")
}

func fromSend(err error) error {
	e, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return AsError(err)
	}
	switch e.Code() {
	case connect.CodeCanceled, connect.CodeUnknown:
		return NewError(errorv1.ErrorReason_ERROR_REASON_CANCELED, "The client went away.").WithCause(err)
	case connect.CodeDeadlineExceeded:
		return NewError(errorv1.ErrorReason_ERROR_REASON_DEADLINE_EXCEEDED, "The deadline passed.").WithCause(err)
	default:
		return internal(err)
	}
}
