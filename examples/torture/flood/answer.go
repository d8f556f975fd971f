package flood

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
)

// Fate is what became of a call.
type Fate int

// The fates.
const (
	// Done was answered with what was asked for.
	Done Fate = iota
	// Shed was turned away with RESOURCE_EXHAUSTED and when to try again.
	Shed
	// Unavailable was turned away with UNAVAILABLE and when to try again, or by the load
	// balancer with 503.
	Unavailable
	// Late passed its deadline, and was answered so.
	Late
	// Silent was never answered, on a connection that stayed.
	Silent
	// Wrong was answered in a way in which an overload mustn't be, or lost its connection.
	Wrong
	Fates
)

// String returns the fate in words.
func (f Fate) String() string {
	return [Fates]string{"done", "shed", "unavailable", "too late", "not answered", "wrong"}[f]
}

// Settled is what the client knows of a payment.
type Settled byte

// What may be known.
const (
	// Never is a number that no call had.
	Never Settled = iota
	// Maybe may have been executed.
	Maybe
	// Paid was acknowledged.
	Paid
	// Unpaid was surely not executed.
	Unpaid
)

// failure is an error in the Connect protocol.
type failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Details []struct {
		Type  string `json:"type"`
		Value string `json:"value"`
	} `json:"details"`
}

// detail finds a detail of an error.
func (f *failure) detail(into proto.Message) bool {
	name := string(into.ProtoReflect().Descriptor().FullName())
	for _, d := range f.Details {
		if d.Type != name {
			continue
		}
		value, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(d.Value, "="))
		return err == nil && proto.Unmarshal(value, into) == nil
	}
	return false
}

// judge says what an answer that isn't the one asked for tells. A payment that is refused
// must say what became of the money.
func judge(kind Kind, status int, body []byte) (Fate, Settled) {
	var f failure
	if json.Unmarshal(body, &f) != nil || f.Code == "" {
		if status == http.StatusServiceUnavailable {
			return Unavailable, Maybe
		}
		return Wrong, Maybe
	}
	settled := Maybe
	var outcome errorv1.OutcomeInfo
	switch told := f.detail(&outcome); {
	case kind == Payment && !told:
		return Wrong, Maybe
	case outcome.GetOutcome() == errorv1.Outcome_OUTCOME_NOT_EXECUTED:
		settled = Unpaid
	case outcome.GetOutcome() == errorv1.Outcome_OUTCOME_EXECUTED:
		settled = Paid
	}
	var retry errdetails.RetryInfo
	again := f.detail(&retry) && retry.GetRetryDelay().AsDuration() > 0
	switch {
	case f.Code == "deadline_exceeded":
		return Late, settled
	case f.Code == "resource_exhausted" && again:
		return Shed, settled
	case f.Code == "unavailable" && again:
		return Unavailable, settled
	}
	return Wrong, settled
}
