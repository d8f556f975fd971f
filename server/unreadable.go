package server

import (
	"net/http"
	"strings"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/server/rpc"
)

// encodingHeaders say how a request is compressed, in one protocol or another.
var encodingHeaders = []string{"Content-Encoding", "Connect-Content-Encoding", "Grpc-Encoding"}

// unreadable finds what Connect would refuse in the headers of a request. It
// does so before its interceptors, with an error that lacks all that ours carry.
func unreadable(r *http.Request) *rpc.Error {
	for _, name := range encodingHeaders {
		values := r.Header[name]
		if len(values) > 0 && values[0] != "" && values[0] != "identity" && values[0] != "gzip" {
			return errEncoding
		}
	}
	if v := r.Header["Connect-Timeout-Ms"]; len(v) > 0 && !digits(v[0], 10) {
		return errTimeout.WithField("connect-timeout-ms", "must be at most ten digits")
	}
	if v := r.Header["Grpc-Timeout"]; len(v) > 0 && !grpcTimeout(v[0]) {
		return errTimeout.WithField("grpc-timeout", "must be at most eight digits and a unit")
	}
	if v := r.Header["Connect-Protocol-Version"]; len(v) > 0 && v[0] != "1" {
		return errProtocolVersion
	}
	return nil
}

func grpcTimeout(s string) bool {
	return len(s) > 1 && strings.IndexByte("HMSmun", s[len(s)-1]) >= 0 && digits(s[:len(s)-1], 8)
}

func digits(s string, most int) bool {
	if s == "" || len(s) > most {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

var (
	errEncoding = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_UNIMPLEMENTED,
		"The request is compressed in a way that this server doesn't know. Use gzip or none.")
	errTimeout = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT,
		"The timeout can't be read.")
	errProtocolVersion = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT,
		"The header Connect-Protocol-Version must be 1.")
	errTooLarge = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_MESSAGE_TOO_LARGE,
		"The message is larger than the server reads.")
	errNoProcedure = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_UNIMPLEMENTED,
		"This server has no such procedure.")
)
