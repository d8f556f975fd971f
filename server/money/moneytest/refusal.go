package moneytest

import (
	"errors"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
)

// Refusal is what a client can read of an error.
type Refusal struct {
	// Reason has no prefix, such as "INSUFFICIENT_FUNDS".
	Reason  string
	Outcome errorv1.Outcome
	// Field is the first field that breaks a rule.
	Field string
	// Retry tells whether the client is told when to try again.
	Retry bool
	// Metadata is that of its ErrorInfo.
	Metadata map[string]string
}

// ReadRefusal reads an error as clients do. Its reason is empty if it is no
// error of this API.
func ReadRefusal(t testing.TB, err error) Refusal {
	t.Helper()
	var r Refusal
	var remote *connect.Error
	if !errors.As(err, &remote) {
		return r
	}
	for _, detail := range remote.Details() {
		msg, err := connectproto.UnmarshalErrorDetail(detail)
		if err != nil {
			t.Fatalf("read an error's detail: %v", err)
		}
		switch d := msg.(type) {
		case *errdetails.ErrorInfo:
			r.Reason, r.Metadata = d.GetReason(), d.GetMetadata()
		case *errorv1.OutcomeInfo:
			r.Outcome = d.GetOutcome()
		case *errdetails.BadRequest:
			r.Field = d.GetFieldViolations()[0].GetField()
		case *errdetails.RetryInfo:
			r.Retry = true
		}
	}
	return r
}

// WantRefusal fails the test unless err has this reason.
func WantRefusal(t testing.TB, err error, reason string) Refusal {
	t.Helper()
	r := ReadRefusal(t, err)
	if r.Reason != reason {
		t.Fatalf("got reason %q (%v), want %s", r.Reason, err, reason)
	}
	return r
}

// WantNothingMoved fails the test unless err has this reason and says that
// nothing was executed.
func WantNothingMoved(t testing.TB, err error, reason string) Refusal {
	t.Helper()
	r := WantRefusal(t, err, reason)
	if r.Outcome != errorv1.Outcome_OUTCOME_NOT_EXECUTED {
		t.Fatalf("%s came with outcome %v, want NOT_EXECUTED", reason, r.Outcome)
	}
	return r
}
