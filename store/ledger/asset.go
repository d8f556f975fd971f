package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Errors of assets.
var (
	// ErrAssetNotFound says that there is no asset with this code.
	ErrAssetNotFound = errors.New("asset not found")
	// ErrAssetExists says that an asset with this code has other properties.
	ErrAssetExists = errors.New("asset exists with other properties")
)

// AssetID is an asset's number in the database. Clients see its code.
type AssetID int16

// Asset is something that the ledger counts. Assets never change.
type Asset struct {
	ID         AssetID
	Code       string    // upper case, such as "USD"
	Exponent   int       // the number of decimals, 0 to 18
	Network    string    // the chain that it lives on, or empty
	CreateTime time.Time // when it was added
}

// assets remembers all assets. There are few and they never change, so the
// table is read again only when one is asked for that isn't known.
type assets struct {
	pool   *pgxpool.Pool
	mu     sync.RWMutex
	byCode map[string]Asset
	byID   map[AssetID]Asset
}

const selectAssets = `SELECT id, code, exponent, coalesce(network, ''), create_time FROM assets ORDER BY code`

// load reads all assets, ordered by code, and remembers them.
func (c *assets) load(ctx context.Context) ([]Asset, error) {
	rows, err := c.pool.Query(ctx, selectAssets)
	if err != nil {
		return nil, fmt.Errorf("reading assets: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Asset])
	if err != nil {
		return nil, fmt.Errorf("reading assets: %w", err)
	}
	byCode, byID := make(map[string]Asset, len(list)), make(map[AssetID]Asset, len(list))
	for _, a := range list {
		byCode[a.Code], byID[a.ID] = a, a
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byCode, c.byID = byCode, byID
	return list, nil
}

// forget has the table read again.
func (c *assets) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byCode, c.byID = nil, nil
}

// Assets returns all assets, ordered by code.
func (l *Ledger) Assets(ctx context.Context) ([]Asset, error) { return l.assets.load(ctx) }

// Asset returns the asset with this code, or ErrAssetNotFound.
func (l *Ledger) Asset(ctx context.Context, code string) (Asset, error) {
	return findAsset(ctx, &l.assets, func(c *assets) (Asset, bool) { a, ok := c.byCode[code]; return a, ok })
}

// AssetByID returns the asset with this number, or ErrAssetNotFound.
func (l *Ledger) AssetByID(ctx context.Context, id AssetID) (Asset, error) {
	return findAsset(ctx, &l.assets, func(c *assets) (Asset, bool) { a, ok := c.byID[id]; return a, ok })
}

func findAsset(ctx context.Context, c *assets, find func(*assets) (Asset, bool)) (Asset, error) {
	locked := func() (Asset, bool) {
		c.mu.RLock()
		defer c.mu.RUnlock()
		return find(c)
	}
	if a, ok := locked(); ok {
		return a, nil
	}
	if _, err := c.load(ctx); err != nil {
		return Asset{}, err
	}
	if a, ok := locked(); ok {
		return a, nil
	}
	return Asset{}, ErrAssetNotFound
}

// CreateAsset adds an asset; its ID and CreateTime are assigned. Adding one
// that exists with the same properties returns it; with others it fails with
// ErrAssetExists.
func (l *Ledger) CreateAsset(ctx context.Context, a Asset) (Asset, error) {
	var network *string
	if a.Network != "" {
		network = &a.Network
	}
	var trip pgx.Batch
	trip.Queue(`INSERT INTO assets (code, exponent, network) VALUES ($1, $2, $3)
		ON CONFLICT ON CONSTRAINT assets_code_key DO NOTHING`, a.Code, a.Exponent, network)
	if err := l.sendOnce(ctx, &trip); err != nil {
		return Asset{}, fmt.Errorf("adding asset %s: %w", a.Code, err)
	}
	stored, err := l.Asset(ctx, a.Code)
	if err != nil {
		return Asset{}, err
	}
	if stored.Exponent != a.Exponent || stored.Network != a.Network {
		return Asset{}, fmt.Errorf("%w: %s", ErrAssetExists, a.Code)
	}
	return stored, nil
}
