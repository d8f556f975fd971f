package money

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	sealv1 "github.com/tillbook/tillbook/gen/tillbook/seal/v1"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/seal"
)

const (
	// sealPatience is how long a call waits for a transaction to be sealed.
	sealPatience = 2 * time.Second
	sealPoll     = 50 * time.Millisecond
)

// Receipt returns the receipt of a transaction, waiting a little for it to be
// sealed. It fails with NOT_SEALED_YET.
func Receipt(ctx context.Context, log *seal.Log, transaction uuid.UUID) (*sealv1.Receipt, error) {
	deadline := time.Now().Add(sealPatience)
	for {
		r, err := log.Receipt(ctx, transaction)
		switch {
		case err == nil:
			return receiptMessage(&r), nil
		case !errors.Is(err, seal.ErrNotSealed):
			return nil, err
		case time.Now().After(deadline):
			return nil, rpc.NewError(errorv1.ErrorReason_ERROR_REASON_NOT_SEALED_YET, "The transaction isn't sealed yet.").
				WithRetry(time.Second).WithCause(err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(sealPoll):
		}
	}
}

func receiptMessage(r *seal.Receipt) *sealv1.Receipt {
	shown := &sealv1.Receipt{Leaf: r.Leaf, LeafIndex: r.Index, Checkpoint: r.Checkpoint}
	for i := range r.Proof {
		shown.Proof = append(shown.GetProof(), r.Proof[i][:])
	}
	if o := r.Opening; o != nil {
		shown.Opening = &sealv1.Opening{
			Salt: o.Salt[:], Fingerprint: o.Fingerprint[:], Note: o.Note, Details: string(r.Details),
		}
	}
	return shown
}
