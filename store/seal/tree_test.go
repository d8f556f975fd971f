package seal

import (
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// The tree of package tlog is built of the same leaves, in its own way.
func TestTheTreeIsTheOneOfRFC6962(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := int64(rapid.IntRange(0, 2000).Draw(t, "leaves"))
		stored := map[int64]tlog.Hash{}
		reference := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
			list := make([]tlog.Hash, len(indexes))
			for i, index := range indexes {
				list[i] = stored[index]
			}
			return list, nil
		})
		tiles := map[tileID][]tlog.Hash{}
		keep := func(id tileID, hashes []tlog.Hash) { tiles[id] = append([]tlog.Hash(nil), hashes...) }
		e := &edge{full: keep}
		for i := range n {
			leaf := tlog.RecordHash([]byte{byte(i), byte(i >> 8)})
			hashes, err := tlog.StoredHashesForRecordHash(i, leaf, reference)
			if err != nil {
				t.Fatal(err)
			}
			for j, h := range hashes {
				stored[tlog.StoredHashIndex(0, i)+int64(j)] = h
			}
			e.append(leaf)
		}
		want, err := tlog.TreeHash(n, reference)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 && e.root() != want {
			t.Fatal("another root")
		}
		e.partial(keep)
		for index, want := range stored {
			id, begin, width := place(index)
			if tile := tiles[id]; len(tile) >= begin+width && subtree(tile[begin:begin+width]) != want {
				t.Fatal("another hash within the tree")
			}
		}
	})
}
