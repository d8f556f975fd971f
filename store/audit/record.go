package audit

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

type Actor struct {
	Kind string
	ID   uuid.UUID
}

type Record struct {
	ID        uuid.UUID
	Time      time.Time
	Actor     Actor
	Action    string
	Subject   string
	Details   json.RawMessage
	ClientIP  string
	RequestID string
}
