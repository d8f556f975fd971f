// Package checkouttest gives tests a merchant to sell with.
package checkouttest

import (
	"testing"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
)

// Shop is a merchant with one store and one terminal.
type Shop struct {
	Owner, Merchant, Store, Terminal uuid.UUID

	store *store.Store
}

// Open adds a shop that a user owns. Its payments are free.
func Open(t testing.TB, s *store.Store, owner uuid.UUID) Shop {
	t.Helper()
	shop := Shop{Owner: owner, Merchant: id.New(), Store: id.New(), Terminal: id.New(), store: s}
	shop.exec(t, `
		INSERT INTO merchants (id, owner_id, name, country, city, category_code, time_zone, settlement_interval,
		                       settlement_minute, settlement_weekday, key_hash, fingerprint, create_time)
		VALUES ($1, $2, 'Warung Kopi', 'ID', 'Jakarta', '5812', 'Asia/Jakarta', 1, 0, 0, gen_random_uuid(), '', now())`,
		shop.Merchant, owner)
	shop.exec(t, `INSERT INTO staff (merchant_id, user_id, role) VALUES ($1, $2, 1)`, shop.Merchant, owner)
	shop.exec(t, `
		INSERT INTO stores (id, merchant_id, name, city, key_hash, fingerprint, create_time)
		VALUES ($1, $2, 'Jalan Sabang', 'Jakarta', gen_random_uuid(), '', now())`, shop.Store, shop.Merchant)
	shop.exec(t, `
		INSERT INTO terminals (id, merchant_id, store_id, name, key_hash, fingerprint, create_time)
		VALUES ($1, $2, $3, 'Till 1', gen_random_uuid(), '', now())`, shop.Terminal, shop.Merchant, shop.Store)
	return shop
}

// Charge gives the shop a fee plan: so many basis points and, on top, so many of the
// smallest unit of an asset.
func (s Shop) Charge(t testing.TB, asset string, basisPoints, fixed int) {
	t.Helper()
	plan := s.Merchant.String()
	s.exec(t, `INSERT INTO fee_plans (name) VALUES ($1) ON CONFLICT DO NOTHING`, plan)
	s.exec(t, `
		INSERT INTO fee_rates (plan, asset_id, basis_points, fixed) SELECT $1, id, $3, $4 FROM assets WHERE code = $2
		ON CONFLICT (plan, asset_id) DO UPDATE SET basis_points = excluded.basis_points, fixed = excluded.fixed`,
		plan, asset, basisPoints, fixed)
	s.exec(t, `UPDATE merchants SET fee_plan = $2 WHERE id = $1`, s.Merchant, plan)
}

func (s Shop) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if _, err := s.store.Pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}
