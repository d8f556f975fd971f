package rpc

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
)

// NewValidator compiles the rules of every request of Tillbook's services, so
// that the first call is as fast as the others.
func NewValidator() (protovalidate.Validator, error) {
	var requests []protoreflect.MessageDescriptor
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "tillbook.") {
			return true
		}
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				requests = append(requests, methods.Get(j).Input())
			}
		}
		return true
	})
	v, err := protovalidate.New(protovalidate.WithMessageDescriptors(requests...))
	if err != nil {
		return nil, fmt.Errorf("compile the validation rules: %w", err)
	}
	return v, nil
}

// Validate checks each request message against the rules beside its fields. It
// is the last interceptor before the handler.
func Validate(v protovalidate.Validator) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			return next(ctx, spec, &validatingStream{ServerStream: stream, validator: v, call: callFrom(ctx)})
		}
	}
}

type validatingStream struct {
	connect.ServerStream
	validator protovalidate.Validator
	call      *call
}

func (s *validatingStream) Receive(msg any) error {
	if err := s.ServerStream.Receive(msg); err != nil {
		return err
	}
	if m, ok := msg.(proto.Message); ok {
		if err := validate(s.validator, m); err != nil {
			return invalid(err)
		}
	}
	s.call.attempted = true
	return nil
}

// validate stops at the first rule that is broken, and looks for the others only in
// a message of usual size: there may be a hundred thousand of them, each as large as
// a kilobyte.
func validate(v protovalidate.Validator, m proto.Message) error {
	err := v.Validate(m, protovalidate.WithFailFast())
	if err == nil || proto.Size(m) > maxExplained {
		return err
	}
	return v.Validate(m)
}

// maxExplained is the largest message, in bytes, of which all broken rules are told.
const maxExplained = 4 << 10

// invalid names the fields that break a rule. It doesn't keep the cause, which
// holds the values.
func invalid(err error) error {
	broken, ok := errors.AsType[*protovalidate.ValidationError](err)
	if !ok {
		return internal(err)
	}
	fields := make([]Field, 0, len(broken.Violations))
	for _, v := range broken.Violations {
		fields = append(fields, Field{
			Path:        protovalidate.FieldPathString(v.Proto.GetField()),
			Rule:        v.Proto.GetRuleId(),
			Description: v.Proto.GetMessage(),
		})
	}
	message := "The request breaks a rule."
	if len(fields) > 0 {
		message = "The request breaks a rule: " + strings.TrimPrefix(fields[0].Path+": "+fields[0].Description, ": ") + "."
	}
	return NewError(errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "%s", message).WithFields(fields...)
}
