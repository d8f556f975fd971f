package seal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/note"

	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/audit"
	"github.com/tillbook/tillbook/store/id"
)

// Key is the key of a log.
type Key struct {
	// Signer signs checkpoints.
	Signer note.Signer
	// Verifier is the public key as NAME+HASH+KEY.
	Verifier string
}

// OpenKey returns the log's key, the same on all replicas, and makes one for a log
// of this name if there is none yet. A log keeps its name for good: what was signed
// under it would not verify under another.
func OpenKey(ctx context.Context, s *store.Store, keys *secret.Keys, name string) (Key, error) {
	row, err := s.Queries().GetLogKey(ctx)
	if errors.Is(err, pgx.ErrNoRows) {
		row, err = makeKey(ctx, s, keys, name)
	}
	if err != nil {
		return Key{}, fmt.Errorf("open the log's key: %w", err)
	}
	text, err := keys.Open(secret.Row{Table: "log_keys", Column: "sealed_key", ID: row.ID}, row.SealedKey)
	if err != nil {
		return Key{}, fmt.Errorf("open the log's key: %w", err)
	}
	signer, err := note.NewSigner(string(text))
	if err != nil {
		return Key{}, fmt.Errorf("open the log's key: %w", err)
	}
	return Key{Signer: signer, Verifier: row.Verifier}, nil
}

func makeKey(ctx context.Context, s *store.Store, keys *secret.Keys, name string) (row store.GetLogKeyRow, err error) {
	err = s.InTx(ctx, func(ctx context.Context, q *store.Queries, _ pgx.Tx) error {
		if err := q.LockLog(ctx); err != nil {
			return err
		}
		var err error
		if row, err = q.GetLogKey(ctx); !errors.Is(err, pgx.ErrNoRows) {
			return err // another replica was faster, or something is wrong
		}
		private, public, err := note.GenerateKey(rand.Reader, name)
		if err != nil {
			return err
		}
		row = store.GetLogKeyRow{ID: id.New(), Verifier: public}
		row.SealedKey, err = keys.Seal(secret.Row{Table: "log_keys", Column: "sealed_key", ID: row.ID}, []byte(private))
		if err != nil {
			return err
		}
		if err := q.InsertLogKey(ctx, store.InsertLogKeyParams(row)); err != nil {
			return err
		}
		return q.Record(ctx, audit.New(audit.Actor{Kind: audit.System}, "key.made", "key/"+id.Format(id.Key, row.ID),
			map[string]string{"kind": "log", "verifier": public}))
	})
	return row, err
}
