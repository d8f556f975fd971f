package server

import (
	"net/http"
	"slices"
	"strings"

	"connectrpc.com/cors"
)

var (
	corsMethods = strings.Join([]string{http.MethodGet, http.MethodPost}, ", ")
	corsHeaders = strings.Join(append(cors.AllowedHeaders(), "Authorization", "Traceparent", "Tracestate"), ", ")
	corsExposed = strings.Join(append(cors.ExposedHeaders(), "X-Request-Id"), ", ")
)

// corsMaxAge is how long browsers may remember an answer, in seconds.
const corsMaxAge = "7200"

// allowOrigins lets the pages of some web origins call next. Nobody signs in with
// cookies, so credentials are not allowed.
func allowOrigins(origins []string, next http.Handler) http.Handler {
	if len(origins) == 0 {
		return next
	}
	any := slices.Contains(origins, "*")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Add("Vary", "Origin")
		origin := r.Header.Get("Origin")
		if origin == "" || (!any && !slices.Contains(origins, origin)) {
			next.ServeHTTP(w, r)
			return
		}
		header.Set("Access-Control-Allow-Origin", origin)
		if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
			header.Set("Access-Control-Expose-Headers", corsExposed)
			next.ServeHTTP(w, r)
			return
		}
		header.Set("Access-Control-Allow-Methods", corsMethods)
		header.Set("Access-Control-Allow-Headers", corsHeaders)
		header.Set("Access-Control-Max-Age", corsMaxAge)
		w.WriteHeader(http.StatusNoContent)
	})
}
