package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store/audit"
	"github.com/tillbook/tillbook/store/id"
)

// operatorKeyPrefix lets secret scanners recognize a key that leaked.
const operatorKeyPrefix = "tbk_"

// operatorKeyEncoding is Crockford's base32, as in ids: no characters that look
// alike, and a double click selects all of it.
var operatorKeyEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// ErrOperatorNotFound says that no operator with a live key has the name.
var ErrOperatorNotFound = errors.New("no operator of that name has a key")

// CreateOperator makes an operator with one key and returns the key. It can't be
// shown again: only its hash is kept. The store must have been opened with
// NoRole, by the owner of the database.
func (s *Store) CreateOperator(ctx context.Context, name string) (Operator, string, error) {
	secret := make([]byte, 32)
	rand.Read(secret)
	key := operatorKeyPrefix + operatorKeyEncoding.EncodeToString(secret)

	var operator Operator
	err := s.InTx(ctx, func(ctx context.Context, q *Queries, _ pgx.Tx) (err error) {
		operator, err = q.InsertOperator(ctx, InsertOperatorParams{ID: id.New(), Name: name})
		if err != nil {
			return err
		}
		keyID := id.New()
		err = q.InsertOperatorKey(ctx, InsertOperatorKeyParams{
			ID: keyID, OperatorID: operator.ID, KeyHash: HashOperatorKey(key),
		})
		if err != nil {
			return err
		}
		return q.Record(ctx, audit.New(audit.Actor{Kind: audit.System}, "operator.created",
			"operator/"+id.Format(id.Operator, operator.ID),
			map[string]string{"name": name, "key_id": id.Format(id.Key, keyID)}))
	})
	if err != nil {
		return Operator{}, "", fmt.Errorf("create operator %q: %w", name, err)
	}
	return operator, key, nil
}

// RevokeOperator ends every key of the operator at once. Like CreateOperator it
// needs the owner of the database.
func (s *Store) RevokeOperator(ctx context.Context, name string) error {
	err := s.InTx(ctx, func(ctx context.Context, q *Queries, _ pgx.Tx) error {
		owners, err := q.RevokeOperatorKeys(ctx, name)
		if err != nil {
			return err
		}
		if len(owners) == 0 {
			return ErrOperatorNotFound
		}
		return q.Record(ctx, audit.New(audit.Actor{Kind: audit.System}, "operator.revoked",
			"operator/"+id.Format(id.Operator, owners[0]), map[string]any{"name": name, "keys": len(owners)}))
	})
	if err != nil {
		return fmt.Errorf("revoke operator %q: %w", name, err)
	}
	return nil
}

// HashOperatorKey returns what Queries.FindOperatorByKeyHash looks for.
func HashOperatorKey(key string) []byte {
	sum := sha256.Sum256([]byte(key))
	return sum[:]
}
