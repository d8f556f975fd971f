package web

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
)

// A path, however it is written, leads to a file of the page or to the page.
func FuzzPath(f *testing.F) {
	site, err := New(fstest.MapFS{"index.html": {Data: []byte("page")}, "assets/a-1.js": {Data: []byte("script")}})
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range []string{"/", "/assets/a-1.js", "/../../etc/passwd", "//", "/%2e%2e/", "/\x00", "/assets/", "", "*", "/a/b?c=d", `/..\..\x`} {
		f.Add(path, "gzip")
	}
	f.Fuzz(func(t *testing.T, path, accept string) {
		r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: path}, Header: http.Header{"Accept-Encoding": {accept}, "If-None-Match": {accept}}}
		w := httptest.NewRecorder()
		site.ServeHTTP(w, r)
		if body := w.Body.String(); w.Code == http.StatusOK && w.Header().Get("Content-Encoding") == "" && body != "page" && body != "script" || strings.Contains(w.Header().Get("Location"), "//") {
			t.Fatalf("%q is answered with %d %q %v", path, w.Code, body, w.Header())
		}
	})
}
