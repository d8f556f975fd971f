package checkout

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store"
)

// MarkDispatched notes that checkouts were sent to their terminals. Those that were
// sent before, or have ended, stay as they are.
func (d *Desk) MarkDispatched(ctx context.Context, ids []uuid.UUID) error {
	return d.mark(ctx, Dispatch, func(ctx context.Context, q *store.Queries) (about told, err error) {
		rows, err := q.MarkDispatched(ctx, ids)
		for _, r := range rows {
			about.add(r.ID, r.MerchantID, r.TerminalID)
		}
		return about, err
	})
}

// MarkAcknowledged notes that terminals show checkouts. Those that were acknowledged
// before, or have ended, stay as they are.
func (d *Desk) MarkAcknowledged(ctx context.Context, ids []uuid.UUID) error {
	return d.mark(ctx, Acknowledge, func(ctx context.Context, q *store.Queries) (about told, err error) {
		rows, err := q.MarkAcknowledged(ctx, ids)
		for _, r := range rows {
			about.add(r.ID, r.MerchantID, r.TerminalID)
		}
		return about, err
	})
}

func (d *Desk) mark(ctx context.Context, h Happening, update func(context.Context, *store.Queries) (told, error)) error {
	err := d.jobs.InTx(ctx, func(ctx context.Context, q *store.Queries, _ pgx.Tx) error {
		about, err := update(ctx, q)
		if err != nil {
			return err
		}
		return tell(ctx, q, h, about)
	})
	if err != nil {
		return fmt.Errorf("noting a delivery: %w", err)
	}
	return nil
}

// tell writes events of their own.
func tell(ctx context.Context, q *store.Queries, h Happening, about told) error {
	if len(about.ids) == 0 {
		return nil
	}
	return q.TellCheckouts(ctx, store.TellCheckoutsParams{
		Type: string(h), EventIds: about.ids, EventSubjects: about.subjects,
	})
}
