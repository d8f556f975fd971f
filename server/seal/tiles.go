package seal

import (
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint serves the newest checkpoint.
func (s *Service) Checkpoint(w http.ResponseWriter, r *http.Request) {
	checkpoint, _, err := s.log.Checkpoint(r.Context())
	switch {
	case err != nil:
		http.Error(w, "The checkpoint can't be read now.", http.StatusServiceUnavailable)
	case checkpoint == "":
		http.NotFound(w, r)
	default:
		serve(w, "text/plain; charset=utf-8", "no-cache", []byte(checkpoint))
	}
}

// VerifierKey serves the public keys of the log, a line each: as a rule one, and two
// while one follows another. The oldest is first.
func (s *Service) VerifierKey(w http.ResponseWriter, _ *http.Request) {
	serve(w, "text/plain; charset=utf-8", "no-cache", []byte(strings.Join(s.keys.Verifiers(), "\n")+"\n"))
}

// Tile serves a tile of hashes: /tile/LEVEL/INDEX, or the beginning of one that
// wasn't full yet: /tile/LEVEL/INDEX.p/WIDTH. Once served it never changes.
func (s *Service) Tile(w http.ResponseWriter, r *http.Request) {
	tile, ok := parseTile(r.PathValue("path"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	hashes, err := s.log.Tile(r.Context(), tile.L, tile.N, tile.W)
	switch {
	case err != nil:
		http.Error(w, "The tile can't be read now.", http.StatusServiceUnavailable)
	case hashes == nil:
		http.NotFound(w, r)
	default:
		serve(w, "application/octet-stream", "public, max-age=31536000, immutable", hashes)
	}
}

// parseTile reads which tile a path names. There are no tiles of the data itself.
func parseTile(path string) (tile tlog.Tile, ok bool) {
	tile, err := tlog.ParseTilePath("tile/8/" + path)
	return tile, err == nil && tile.L >= 0
}

func serve(w http.ResponseWriter, kind, cache string, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("Cache-Control", cache)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(body) // whoever went away needs no answer
}
