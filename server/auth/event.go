package auth

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
)

// The types of events that this package writes. Payloads hold ids only.
const (
	eventRegistered      = "user.registered"
	eventPasswordChanged = "user.password_changed"
	eventPasswordReset   = "user.password_reset"
	eventSessionStarted  = "session.started"
	eventSessionEnded    = "session.ended"
)

type userPayload struct {
	User string `json:"user_id"`
}

type sessionPayload struct {
	Session string    `json:"session_id"`
	Reason  endReason `json:"reason,omitempty"`
}

// addEvent tells the followers of events what this transaction did to a user.
func addEvent(ctx context.Context, q *store.Queries, kind string, user uuid.UUID, payload any) error {
	data, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("write the event %s: %w", kind, err)
	}
	err = q.InsertEvent(ctx, store.InsertEventParams{
		Type: kind, Subject: "user/" + id.Format(id.User, user), Payload: data,
	})
	if err != nil {
		return fmt.Errorf("add the event %s: %w", kind, err)
	}
	return nil
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
