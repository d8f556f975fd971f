package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

const (
	index = "index.html"
	// assets is the folder of files whose names change with what is in them.
	assets = "assets/"
	// maxSite bounds what is kept in memory, in bytes.
	maxSite = 32 << 20
	// compressFrom is the size from which compressing a file is worth it.
	compressFrom = 1 << 10
)

var (
	errNoIndex = errors.New("it holds no index.html: build the page first (`make web`), or name the folder that the build wrote")
	errTooBig  = fmt.Errorf("it holds more than %d MiB: name the folder that the build of a page wrote", maxSite>>20)
)

// types are the files that pages are made of. Others are served as bytes, which
// browsers don't run.
var types = map[string]string{
	".css":         "text/css; charset=utf-8",
	".html":        "text/html; charset=utf-8",
	".ico":         "image/x-icon",
	".jpg":         "image/jpeg",
	".js":          "text/javascript; charset=utf-8",
	".json":        "application/json",
	".png":         "image/png",
	".svg":         "image/svg+xml",
	".txt":         "text/plain; charset=utf-8",
	".wasm":        "application/wasm",
	".webmanifest": "application/manifest+json",
	".webp":        "image/webp",
	".woff2":       "font/woff2",
}

// securityHeaders go with every file. Styles that scripts set through the DOM are
// allowed by style-src; attributes and elements with styles in them are not. data:
// and blob: are for pictures alone.
var securityHeaders = map[string]string{
	"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; " +
		"font-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; " +
		"frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Permissions-Policy":           "camera=(self), microphone=(), geolocation=(), payment=()",
	"Referrer-Policy":              "no-referrer",
	"X-Content-Type-Options":       "nosniff",
}

// Site is a page and what it loads. It is safe for concurrent use.
type Site struct {
	files map[string]*file
}

// file is ready to be sent.
type file struct {
	contentType  string
	cacheControl string
	plain        encoded
	// gzip is empty if compressing it doesn't pay.
	gzip encoded
}

// encoded is a file in one encoding, with the tag of its own that it needs.
type encoded struct {
	body []byte
	etag string
}

// New reads a site from a folder, which must hold an index.html and be small
// enough for memory.
func New(dir fs.FS) (*Site, error) {
	s := &Site{files: make(map[string]*file)}
	size := 0
	err := fs.WalkDir(dir, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if size += int(min(info.Size(), maxSite+1)); size > maxSite {
			return errTooBig
		}
		body, err := fs.ReadFile(dir, name)
		if err != nil {
			return err
		}
		s.files[name], err = newFile(name, body)
		return err
	})
	if err != nil {
		return nil, err
	}
	if s.files[index] == nil {
		return nil, errNoIndex
	}
	return s, nil
}

func newFile(name string, body []byte) (*file, error) {
	f := &file{
		contentType:  types[strings.ToLower(path.Ext(name))],
		cacheControl: "no-cache",
		plain:        encoded{body: body, etag: tag(body)},
	}
	if strings.HasPrefix(name, assets) {
		f.cacheControl = "public, max-age=31536000, immutable"
	}
	if f.contentType == "" {
		f.contentType = "application/octet-stream"
	}
	if len(body) < compressFrom {
		return f, nil
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if packed.Len() < len(body)*9/10 {
		f.gzip = encoded{body: packed.Bytes(), etag: tag(packed.Bytes())}
	}
	return f, nil
}

func tag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

// ServeHTTP answers GET and HEAD.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	for name, value := range securityHeaders {
		header.Set(name, value)
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "Pages are read with GET.", http.StatusMethodNotAllowed)
		return
	}
	f := s.find(r.URL.Path)
	if f == nil {
		header.Set("Cache-Control", "no-store")
		http.NotFound(w, r)
		return
	}
	header.Set("Cache-Control", f.cacheControl)
	header.Set("Content-Type", f.contentType)
	sent := f.plain
	if f.gzip.body != nil {
		header.Add("Vary", "Accept-Encoding")
		if takesGzip(r.Header.Get("Accept-Encoding")) {
			header.Set("Content-Encoding", "gzip")
			sent = f.gzip
		}
	}
	header.Set("Etag", sent.etag)
	if matches(r.Header.Get("If-None-Match"), sent.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	header.Set("Content-Length", strconv.Itoa(len(sent.body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(sent.body)
	}
}

// find returns what a path shows; nil if nothing.
func (s *Site) find(urlPath string) *file {
	name := strings.TrimPrefix(path.Clean("/"+urlPath), "/")
	if f := s.files[name]; f != nil {
		return f
	}
	if path.Ext(name) != "" || strings.HasPrefix(name+"/", assets) {
		return nil
	}
	return s.files[index]
}

// takesGzip reads Accept-Encoding. A client that refuses gzip says q=0.
func takesGzip(accepted string) bool {
	for part := range strings.SplitSeq(accepted, ",") {
		coding, quality, _ := strings.Cut(part, ";")
		if strings.TrimSpace(coding) != "gzip" {
			continue
		}
		value, ok := strings.CutPrefix(strings.TrimSpace(quality), "q=")
		weight, err := strconv.ParseFloat(value, 64)
		return !ok || (err == nil && weight > 0)
	}
	return false
}

// matches reads If-None-Match.
func matches(asked, etag string) bool {
	for part := range strings.SplitSeq(asked, ",") {
		part = strings.TrimSpace(part)
		if part == "*" || strings.TrimPrefix(part, "W/") == etag {
			return true
		}
	}
	return false
}
