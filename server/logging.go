package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"regexp"

	"go.opentelemetry.io/otel/trace"

	"github.com/tillbook/tillbook/server/rpc"
)

// NewLogger returns a logger that writes to w. The format is "text" or "json".
func NewLogger(w io.Writer, format string, level slog.Level) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: level}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	default:
		return nil, fmt.Errorf("unknown log format %q: use text or json", format)
	}
}

// sensitive matches what must not get into the log even when an error of a
// library quotes it: phone numbers in international form, tokens, passwords in
// URLs.
var sensitive = regexp.MustCompile(`\+[0-9]{6,15}` +
	`|eyJ[\w-]+\.[\w-]+\.[\w-]*` +
	`|(?i:bearer)\s+\S+` +
	`|tbk_[0-9a-z]+` +
	`|://[^/@\s]+:[^/@\s]+@`)

// scrub returns the text of an error without what is sensitive in it.
func scrub(text string) string {
	return sensitive.ReplaceAllString(text, "[redacted]")
}

// contextual returns a handler that adds to each line which call and which span it
// is about, so that nobody has to think of it: request_id, trace_id and span_id.
func contextual(h slog.Handler) slog.Handler {
	if _, done := h.(contextHandler); done {
		return h
	}
	return contextHandler{h}
}

type contextHandler struct{ slog.Handler }

// Handle adds what the context knows.
func (h contextHandler) Handle(ctx context.Context, r slog.Record) error {
	if id := rpc.RequestID(ctx); id != "" {
		r.AddAttrs(slog.String("request_id", id))
	}
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		r.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs returns a handler whose lines have these attributes, too.
func (h contextHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return contextHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup returns a handler that groups what follows.
func (h contextHandler) WithGroup(name string) slog.Handler {
	return contextHandler{h.Handler.WithGroup(name)}
}
