package ledger

import (
	"context"

	"github.com/google/uuid"
)

func (l *Ledger) leaves(ctx context.Context, b *batch, salts []*uuid.UUID) ([]byte, error) {
	return nil, nil
}

func auditStatements(b *batch) []statement { return nil }
