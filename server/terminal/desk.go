package terminal

import (
	"context"

	"github.com/google/uuid"
)

type desk interface {
	MarkDispatched(ctx context.Context, ids []uuid.UUID) error
	MarkAcknowledged(ctx context.Context, ids []uuid.UUID) error
}
