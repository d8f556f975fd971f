package seal

import (
	"strings"
	"testing"
)

// A path that names a tile is the only one that does: what is cached under another
// would be the same tile twice.
func FuzzTilePath(f *testing.F) {
	for _, path := range []string{
		"0/000", "0/x001/000", "63/999.p/255", "0/000.p/256", "0/000.p/0", "0/0", "data/000", "-1/000", "00/000", "0/x000/000", "99999999999999999999/000",
		"0/" + strings.Repeat("x999/", 6) + "999", "0/000/", "", "/", "0/000.p", "0/+01", "8/0/000", "0/x999/x999/x999/x999/x999/x999/x999/999",
	} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		tile, ok := parseTile(path)
		if !ok {
			return
		}
		if tile.L < 0 || tile.N < 0 || tile.W < 1 || tile.W > 256 || tile.H != 8 || tile.Path() != "tile/8/"+path {
			t.Fatalf("%q names the tile %+v", path, tile)
		}
	})
}
