package merchant

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	"github.com/tillbook/tillbook/gen/tillbook/merchant/v1/merchantv1connect"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/qr"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

var errNoStore = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_NOT_FOUND, "The merchant has no such store.").
	WithField("store_id", "must be one of the merchant's stores")

// createStore adds a store, once for a key.
func (s *Service) createStore(ctx context.Context, m member, req *merchantv1.CreateStoreRequest) (*merchantv1.Store, error) {
	of, err := s.store.Queries().GetMerchant(ctx, store.GetMerchantParams{ID: m.merchant, UserID: m.user})
	if err != nil {
		return nil, fmt.Errorf("reading a merchant: %w", err)
	}
	name, city := strings.TrimSpace(req.GetName()), strings.TrimSpace(req.GetCity())
	if city == "" {
		city = of.Merchant.City
	}
	if err := checkShown(name, of.Merchant.Country, city); err != nil {
		return nil, err
	}
	key := uuid.UUID(ledger.NewKey(money.UserScope(m.user)+"/stores", req.GetIdempotencyKey()))
	fingerprint := ledger.Fingerprint("store", req.GetMerchantId(), name, city)
	q := s.store.Queries()
	made, _, err := once(fingerprint,
		func() (uuid.UUID, error) {
			return q.InsertStore(ctx, store.InsertStoreParams{
				ID: id.New(), MerchantID: m.merchant, Name: name, City: city, KeyHash: key, Fingerprint: fingerprint[:],
			})
		},
		func() (uuid.UUID, []byte, error) {
			known, err := q.FindStoreByKey(ctx, key)
			return known.ID, known.Fingerprint, err
		})
	if err != nil {
		return nil, err
	}
	row, err := q.GetStore(ctx, store.GetStoreParams{ID: made, MerchantID: m.merchant})
	if err != nil {
		return nil, fmt.Errorf("reading a store: %w", err)
	}
	shown := store.ListStoresRow(row)
	return storeMessage(&shown, &of.Merchant)
}

func (s *Service) listStores(ctx context.Context, m member, req *merchantv1.ListStoresRequest) (shown []*merchantv1.Store, next string, err error) {
	p, err := newPage(req, merchantv1connect.MerchantServiceListStoresProcedure, req.GetMerchantId())
	if err != nil {
		return nil, "", err
	}
	of, err := s.store.Queries().GetMerchant(ctx, store.GetMerchantParams{ID: m.merchant, UserID: m.user})
	if err != nil {
		return nil, "", fmt.Errorf("reading a merchant: %w", err)
	}
	list, err := s.store.Queries().ListStores(ctx, store.ListStoresParams{MerchantID: m.merchant, BeforeID: p.before, MaxRows: p.rows()})
	if err != nil {
		return nil, "", fmt.Errorf("listing stores: %w", err)
	}
	list, next = cut(p, list, func(r *store.ListStoresRow) uuid.UUID { return r.ID })
	for i := range list {
		m, err := storeMessage(&list[i], &of.Merchant)
		if err != nil {
			return nil, "", err
		}
		shown = append(shown, m)
	}
	return shown, next, nil
}

// findStore finds one of a merchant's stores, or fails with NOT_FOUND.
func (s *Service) findStore(ctx context.Context, merchant uuid.UUID, text string) (uuid.UUID, error) {
	wanted, err := id.Parse(id.Store, text)
	if err != nil {
		return uuid.Nil, errNoStore.WithCause(err)
	}
	_, err = s.store.Queries().GetStore(ctx, store.GetStoreParams{ID: wanted, MerchantID: merchant})
	if errors.Is(err, pgx.ErrNoRows) {
		return uuid.Nil, errNoStore.WithCause(err)
	}
	if err != nil {
		return uuid.Nil, fmt.Errorf("reading a store: %w", err)
	}
	return wanted, nil
}

// storeCode is the code of a store to print. A code must name a currency: it is that
// of the merchant's country, whatever the store takes besides.
func storeCode(of uuid.UUID, m *store.Merchant, city string) qr.Code {
	currency, _ := qr.CountryCurrency(m.Country)
	return qr.Code{
		Store: id.Format(id.Store, of), Category: m.CategoryCode, Currency: currency,
		Country: m.Country, Merchant: m.Name, City: city,
	}
}
