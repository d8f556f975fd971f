package auth

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/audit"
	"github.com/tillbook/tillbook/store/id"
)

// What this package records. Payloads hold ids only.
const (
	eventRegistered      = "user.registered"
	eventPasswordChanged = "user.password_changed"
	eventPasswordReset   = "user.password_reset"
	eventSessionStarted  = "session.started"
	eventSessionEnded    = "session.ended"
	eventDeviceAdded     = "device.added"
	eventDeviceRemoved   = "device.removed"
	eventSignInRefused   = "session.refused"
	eventCodeRefused     = "code.refused"
	eventKeyMade         = "key.made"
	eventKeyRetired      = "key.retired"
)

type userPayload struct {
	User string `json:"user_id"`
}

type sessionPayload struct {
	Session string    `json:"session_id"`
	Reason  endReason `json:"reason,omitempty"`
}

// devicePayload names a device; none if all of a user's are meant.
type devicePayload struct {
	Device string    `json:"device_id,omitempty"`
	Reason endReason `json:"reason,omitempty"`
}

// addEvent records what this transaction did to a user.
func addEvent(ctx context.Context, q *store.Queries, kind string, user uuid.UUID, payload any) error {
	r := audit.New(audit.Actor{Kind: audit.User, ID: user}, kind, "user/"+id.Format(id.User, user), payload)
	if err := q.Record(ctx, r.From(rpc.Origin(ctx))); err != nil {
		return fmt.Errorf("record %s: %w", kind, err)
	}
	return nil
}

// addRefusal records a wrong password or code. It costs the same whether or not
// there is an account, and says nothing of who it was tried for if there is none.
// What can't be recorded is refused all the same.
func (s *Service) addRefusal(ctx context.Context, kind string, user *uuid.UUID) {
	actor, subject := audit.Actor{Kind: audit.User}, ""
	if user != nil {
		actor.ID, subject = *user, "user/"+id.Format(id.User, *user)
	}
	if err := s.store.Queries().Record(ctx, audit.New(actor, kind, subject, nil).From(rpc.Origin(ctx))); err != nil {
		s.log.WarnContext(ctx, "a refusal was not recorded", "error", err)
	}
}

func addEnded(ctx context.Context, q *store.Queries, user uuid.UUID, ended []uuid.UUID, why endReason) error {
	for _, session := range ended {
		payload := sessionPayload{Session: id.Format(id.Session, session), Reason: why}
		if err := addEvent(ctx, q, eventSessionEnded, user, payload); err != nil {
			return err
		}
	}
	return nil
}
