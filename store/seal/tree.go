package seal

import (
	"context"
	"fmt"
	"math/bits"

	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	// tileHeight is the number of levels of the tree that a tile spans.
	tileHeight = 8
	// tileWidth is the number of hashes in a full tile.
	tileWidth = 1 << tileHeight
)

// tileID names a tile.
type tileID struct {
	level int
	index int64
}

// edge is the right edge of a tree: of each level the tile that isn't full. It is
// all that has to be known of a tree to append to it.
type edge struct {
	size   int64
	levels [][]tlog.Hash
	// full receives tiles as they become full.
	full func(id tileID, hashes []tlog.Hash)
}

// append adds a leaf by its hash.
func (e *edge) append(leaf tlog.Hash) {
	e.push(0, leaf, e.size)
	e.size++
}

// push adds a hash to the level's last tile. n is how many come before it.
func (e *edge) push(level int, h tlog.Hash, n int64) {
	if level == len(e.levels) {
		e.levels = append(e.levels, make([]tlog.Hash, 0, tileWidth))
	}
	tile := append(e.levels[level], h)
	if len(tile) < tileWidth {
		e.levels[level] = tile
		return
	}
	index := n / tileWidth
	e.full(tileID{level, index}, tile)
	e.levels[level] = make([]tlog.Hash, 0, tileWidth)
	e.push(level+1, subtree(tile), index)
}

// partial calls f for each tile that isn't full and not empty.
func (e *edge) partial(f func(id tileID, hashes []tlog.Hash)) {
	n := e.size
	for level, tile := range e.levels {
		if len(tile) > 0 {
			f(tileID{level, n / tileWidth}, tile)
		}
		n /= tileWidth
	}
}

// root is the tree's hash: that of its perfect subtrees, the smallest joined first.
func (e *edge) root() tlog.Hash {
	var root tlog.Hash
	have := false
	for _, tile := range e.levels { // from the right edge inwards
		for rest := len(tile); rest > 0; rest &= rest - 1 {
			size := rest & -rest
			peak := subtree(tile[rest-size : rest])
			if have {
				root = tlog.NodeHash(peak, root)
			} else {
				root, have = peak, true
			}
		}
	}
	if !have {
		root, _ = tlog.TreeHash(0, nil)
	}
	return root
}

// subtree is the hash over a power of two of hashes.
func subtree(hashes []tlog.Hash) tlog.Hash {
	if len(hashes) == 1 {
		return hashes[0]
	}
	half := len(hashes) / 2
	return tlog.NodeHash(subtree(hashes[:half]), subtree(hashes[half:]))
}

// edgeTiles are the tiles on the right edge of a tree.
func edgeTiles(size int64) (ids []tileID) {
	for level, n := 0, size; n > 0; level, n = level+1, n/tileWidth {
		if n%tileWidth != 0 {
			ids = append(ids, tileID{level, n / tileWidth})
		}
	}
	return ids
}

// loadEdge reads the right edge of a stored tree.
func loadEdge(ctx context.Context, q querier, size int64) (*edge, error) {
	ids := edgeTiles(size)
	tiles, err := loadTiles(ctx, q, ids)
	if err != nil {
		return nil, err
	}
	e := &edge{size: size}
	for level, n := 0, size; n > 0; level, n = level+1, n/tileWidth {
		tile := make([]tlog.Hash, 0, tileWidth)
		if width := int(n % tileWidth); width > 0 {
			stored := tiles[tileID{level, n / tileWidth}]
			if len(stored) < width {
				return nil, fmt.Errorf("tile %d/%d has %d hashes, the log needs %d", level, n/tileWidth, len(stored), width)
			}
			tile = append(tile, stored[:width]...)
		}
		e.levels = append(e.levels, tile)
	}
	return e, nil
}

// querier is a connection, a transaction or a pool.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func loadTiles(ctx context.Context, q querier, ids []tileID) (map[tileID][]tlog.Hash, error) {
	tiles := make(map[tileID][]tlog.Hash, len(ids))
	if len(ids) == 0 {
		return tiles, nil
	}
	levels, indexes := make([]int16, len(ids)), make([]int64, len(ids))
	for i, id := range ids {
		levels[i], indexes[i] = int16(id.level), id.index
	}
	rows, err := q.Query(ctx, `
SELECT t.level, t.index, t.hashes
  FROM unnest($1::smallint[], $2::bigint[]) AS w (level, index)
  JOIN log_tiles t ON t.level = w.level AND t.index = w.index`, levels, indexes)
	if err != nil {
		return nil, fmt.Errorf("reading tiles: %w", err)
	}
	var id tileID
	var data []byte
	_, err = pgx.ForEachRow(rows, []any{&id.level, &id.index, &data}, func() error {
		tiles[id] = split(data)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading tiles: %w", err)
	}
	return tiles, nil
}

func split(data []byte) []tlog.Hash {
	hashes := make([]tlog.Hash, len(data)/tlog.HashSize)
	for i := range hashes {
		copy(hashes[i][:], data[i*tlog.HashSize:])
	}
	return hashes
}

func join(hashes []tlog.Hash) []byte {
	data := make([]byte, 0, len(hashes)*tlog.HashSize)
	for i := range hashes {
		data = append(data, hashes[i][:]...)
	}
	return data
}

// reader reads hashes anywhere in a stored tree, for proofs.
func reader(ctx context.Context, q querier) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		ids := make([]tileID, len(indexes))
		for i, index := range indexes {
			ids[i], _, _ = place(index)
		}
		tiles, err := loadTiles(ctx, q, ids)
		if err != nil {
			return nil, err
		}
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			id, begin, width := place(index)
			tile := tiles[id]
			if len(tile) < begin+width {
				return nil, fmt.Errorf("tile %d/%d has %d hashes, %d are needed", id.level, id.index, len(tile), begin+width)
			}
			hashes[i] = subtree(tile[begin : begin+width])
		}
		return hashes, nil
	})
}

// place tells which hashes of which tile a node of the tree stands over.
func place(index int64) (id tileID, begin, width int) {
	level, n := tlog.SplitStoredHashIndex(index)
	width = 1 << (level % tileHeight)
	first := n << bits.TrailingZeros(uint(width))
	return tileID{level / tileHeight, first / tileWidth}, int(first % tileWidth), width
}
