package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Errors of tiers.
var (
	// ErrTier says that a tier is out of range.
	ErrTier = errors.New("there is no such tier")
	// ErrAccountClosed says that an account's owner is gone for good: nothing
	// moves there any more.
	ErrAccountClosed = errors.New("the account is closed")
)

// TierClosed is the tier of an owner whose accounts are closed.
const TierClosed = -1

// lockOwner keeps accounts of an owner from being opened, or its tier from being
// changed, by others until the end of the transaction, so that no account is left
// with another tier than its owner's.
const lockOwner = `SELECT pg_advisory_xact_lock(hashtextextended('tillbook.owner/' || $1, 0))`

// SetTier says how far the identity of an owner, such as "user/usr_…", is known:
// from 0 to MaxTier. All of its accounts, also those opened later, are then
// limited by the rules of that tier. TierClosed closes them.
func SetTier(ctx context.Context, tx pgx.Tx, owner string, tier int) (before int, err error) {
	if tier < TierClosed || tier > MaxTier {
		return 0, fmt.Errorf("%w: %d", ErrTier, tier)
	}
	if _, err := tx.Exec(ctx, lockOwner, owner); err != nil {
		return 0, fmt.Errorf("setting the tier of %s: %w", owner, err)
	}
	err = tx.QueryRow(ctx, `SELECT tier FROM owners WHERE code = $1`, owner).Scan(&before)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return 0, fmt.Errorf("setting the tier of %s: %w", owner, err)
	}
	for _, statement := range []string{
		`INSERT INTO owners (code, tier, update_time) VALUES ($1, $2, now())
		 ON CONFLICT ON CONSTRAINT owners_pkey DO UPDATE SET tier = $2, update_time = now()`,
		// In the order in which batches lock them.
		`UPDATE accounts SET tier = $2 WHERE id IN (
		     SELECT id FROM accounts WHERE code >= $1 || '/' AND code < $1 || '0' ORDER BY id FOR NO KEY UPDATE)`,
	} {
		if _, err := tx.Exec(ctx, statement, owner, tier); err != nil {
			return 0, fmt.Errorf("setting the tier of %s: %w", owner, err)
		}
	}
	return before, nil
}

// Tier returns the tier of an owner.
func (l *Ledger) Tier(ctx context.Context, owner string) (tier int, err error) {
	err = l.pool.QueryRow(ctx, `SELECT coalesce((SELECT tier FROM owners WHERE code = $1), 0)`, owner).Scan(&tier)
	if err != nil {
		return 0, fmt.Errorf("reading the tier of %s: %w", owner, err)
	}
	return tier, nil
}

// ownerName is the owner of an account as owners has it.
func ownerName(code string) string { return strings.TrimSuffix(ownerOf(code), "/") }
