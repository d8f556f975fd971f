package terminal

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/uuid"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/id"
)

// The types of the events that this package writes. Those of checkouts come from
// where checkouts change.
const (
	typeCommand       = "terminal.command"
	typeConfiguration = "terminal.configuration"
	typeAlert         = "terminal.alert"
	// These two are for replicas, under the terminal's other subject.
	typeSessionBegun = "session.begun"
	typeSessionEnded = "session.ended"
)

const (
	subjectPrefix        = "terminal/"
	sessionSubjectPrefix = "session/"
)

// subjectOf is the subject of what a terminal is told.
func subjectOf(terminal uuid.UUID) string { return money.TerminalScope(terminal) }

// sessionSubjectOf is the subject of what happens to a terminal's sessions.
func sessionSubjectOf(terminal uuid.UUID) string {
	return sessionSubjectPrefix + id.Format(id.Terminal, terminal)
}

// terminalOf reads either subject.
func terminalOf(subject string) (terminal uuid.UUID, ofSession, ok bool) {
	text, ofSession := strings.CutPrefix(subject, sessionSubjectPrefix)
	if !ofSession {
		text = strings.TrimPrefix(subject, subjectPrefix)
	}
	terminal, err := id.Parse(id.Terminal, text)
	return terminal, ofSession, err == nil
}

// commandPayload is that of typeCommand.
type commandPayload struct {
	Kind    int32  `json:"kind"`
	Version string `json:"version,omitempty"`
}

// alertPayload is that of typeAlert, of the subject merchant/<mer_id>.
type alertPayload struct {
	Terminal uuid.UUID `json:"terminal"`
	Message  string    `json:"message"`
}

// checkoutPayload is that of what happens to checkouts.
type checkoutPayload struct {
	Checkout uuid.UUID `json:"checkout"`
}

// begun is the payload of typeSessionBegun: a session with this epoch took over.
type begun struct {
	Epoch int64 `json:"epoch"`
}

// ending is the payload of typeSessionEnded: the sessions up to this epoch end.
type ending struct {
	Epoch int64  `json:"epoch"`
	Why   string `json:"why"`
}

// Why all sessions of a terminal end.
const (
	whyRevoked  = "revoked"
	whyReplaced = "replaced"
	whyShared   = "shared"
)

var (
	errFenced = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_SESSION_FENCED,
		"A newer session of the terminal took over.")
	errReplaced = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_ASSERTION_INVALID,
		"The terminal was given a new activation code; the device's key opens nothing any more.")
	errKeyShared = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_TERMINAL_KEY_SHARED,
		"Two devices use the terminal's key. It is locked until the merchant unlocks it or activates a device anew.")
	errNotReading = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_NOT_READING,
		"The terminal doesn't take its messages; they are sent again in its next session.")
	errSilent = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_NOT_READING,
		"The terminal sent no heartbeat for a long time.")
	errBusy = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_UNAVAILABLE,
		"The terminal's messages can't be read now. Try again a little later.")
)

// endingError is what a session is told that ends for this reason.
func endingError(why string) *rpc.Error {
	switch why {
	case whyRevoked:
		return errRevoked
	case whyShared:
		return errKeyShared
	default:
		return errReplaced
	}
}

// sequenceOf numbers an event: it is the same on every replica, and grows.
func sequenceOf(xid, number int64) uint64 { return uint64(xid)<<16 | uint64(number)&0xffff }

// placeOf is the inverse of sequenceOf.
func placeOf(sequence uint64) (xid, number int64) {
	return int64(sequence >> 16), int64(sequence & 0xffff)
}

func readPayload[T any](payload []byte) (T, error) {
	var v T
	if err := json.Unmarshal(payload, &v); err != nil {
		return v, fmt.Errorf("reading an event: %w", err)
	}
	return v, nil
}
