package web

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

const page = "<!doctype html><title>Shop</title>"

var script = strings.Repeat("console.log('paid');\n", 200)

func site(t *testing.T) *Site {
	t.Helper()
	s, err := New(fstest.MapFS{
		"index.html":           {Data: []byte(page)},
		"icon.svg":             {Data: []byte("<svg/>")},
		"odd.bin":              {Data: []byte{0, 1}},
		"assets/main-1a2b.js":  {Data: []byte(script)},
		"assets/main-1a2b.css": {Data: []byte("a{}")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ask(t *testing.T, s *Site, method, path string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "http://shop.example/", nil)
	r.URL.Path = path
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r io.Reader) string {
	t.Helper()
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestPathsFindFilesOrThePage(t *testing.T) {
	tests := map[string]struct {
		path, body, contentType, cache string
	}{
		"the page":                      {"/", page, "text/html; charset=utf-8", "no-cache"},
		"the page by name":              {"/index.html", page, "text/html; charset=utf-8", "no-cache"},
		"a path of the application":     {"/shop/report", page, "text/html; charset=utf-8", "no-cache"},
		"a folder":                      {"/shop/", page, "text/html; charset=utf-8", "no-cache"},
		"a file":                        {"/icon.svg", "<svg/>", "image/svg+xml", "no-cache"},
		"a hashed script":               {"/assets/main-1a2b.js", script, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		"a hashed style":                {"/assets/main-1a2b.css", "a{}", "text/css; charset=utf-8", "public, max-age=31536000, immutable"},
		"bytes that browsers don't run": {"/odd.bin", "\x00\x01", "application/octet-stream", "no-cache"},
		"dots that lead nowhere":        {"/../../index.html", page, "text/html; charset=utf-8", "no-cache"},
	}
	s := site(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			res := ask(t, s, http.MethodGet, tt.path)
			if got := body(t, res.Body); res.StatusCode != http.StatusOK || got != tt.body {
				t.Errorf("%d %q", res.StatusCode, got)
			}
			if got := res.Header.Get("Content-Type"); got != tt.contentType {
				t.Errorf("Content-Type %q", got)
			}
			if got := res.Header.Get("Cache-Control"); got != tt.cache {
				t.Errorf("Cache-Control %q", got)
			}
		})
	}
}

func TestFilesThatAreMissingAreNotThePage(t *testing.T) {
	s := site(t)
	for _, path := range []string{"/assets/main-old.js", "/assets/x", "/assets", "/robots.txt", "/../etc/passwd.txt"} {
		res := ask(t, s, http.MethodGet, path)
		if res.StatusCode != http.StatusNotFound || res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %q", path, res.StatusCode, res.Header.Get("Cache-Control"))
		}
	}
}

func TestEveryAnswerIsStrict(t *testing.T) {
	s := site(t)
	for _, path := range []string{"/", "/assets/main-1a2b.js", "/nowhere.js"} {
		header := ask(t, s, http.MethodGet, path).Header
		policy := header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: the policy lacks %s: %s", path, want, policy)
			}
		}
		if strings.Contains(policy, "unsafe") || header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, header)
		}
	}
}

func TestWhatABrowserHasIsNotSentAgain(t *testing.T) {
	s := site(t)
	first := ask(t, s, http.MethodGet, "/")
	again := ask(t, s, http.MethodGet, "/shop", "If-None-Match", `"other", W/`+first.Header.Get("Etag"))
	if again.StatusCode != http.StatusNotModified || body(t, again.Body) != "" {
		t.Errorf("the same page again: %d", again.StatusCode)
	}
	other := ask(t, s, http.MethodGet, "/icon.svg", "If-None-Match", first.Header.Get("Etag"))
	if other.StatusCode != http.StatusOK {
		t.Errorf("another file: %d", other.StatusCode)
	}
}

func TestLongFilesAreCompressedForThoseWhoTakeIt(t *testing.T) {
	s := site(t)
	const path = "/assets/main-1a2b.js"
	packed := ask(t, s, http.MethodGet, path, "Accept-Encoding", "br;q=1.0, gzip;q=0.8")
	if packed.Header.Get("Content-Encoding") != "gzip" || packed.Header.Get("Vary") != "Accept-Encoding" {
		t.Fatalf("%v", packed.Header)
	}
	r, err := gzip.NewReader(packed.Body)
	if err != nil {
		t.Fatal(err)
	}
	if body(t, r) != script {
		t.Error("what was unpacked isn't the script")
	}
	plain := ask(t, s, http.MethodGet, path, "Accept-Encoding", "gzip;q=0")
	if plain.Header.Get("Content-Encoding") != "" || plain.Header.Get("Etag") == packed.Header.Get("Etag") {
		t.Errorf("for one who refuses gzip: %v", plain.Header)
	}
	if body(t, plain.Body) != script {
		t.Error("what came plain isn't the script")
	}
}

func TestHeadHasNoBodyAndNothingElseIsAllowed(t *testing.T) {
	s := site(t)
	head := ask(t, s, http.MethodHead, "/")
	if head.StatusCode != http.StatusOK || head.Header.Get("Content-Length") != "34" || body(t, head.Body) != "" {
		t.Errorf("HEAD: %d %v", head.StatusCode, head.Header)
	}
	post := ask(t, s, http.MethodPost, "/")
	if post.StatusCode != http.StatusMethodNotAllowed || post.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d %v", post.StatusCode, post.Header)
	}
}

func TestAFolderThatIsNoPageIsRefused(t *testing.T) {
	if _, err := New(fstest.MapFS{"main.js": {Data: []byte(script)}}); !errors.Is(err, errNoIndex) {
		t.Errorf("without index.html: %v", err)
	}
	big := fstest.MapFS{"index.html": {Data: []byte(page)}, "film": {Data: make([]byte, maxSite)}}
	if _, err := New(big); !errors.Is(err, errTooBig) {
		t.Errorf("too big: %v", err)
	}
}
