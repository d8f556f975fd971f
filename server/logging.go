package server

import (
	"fmt"
	"io"
	"log/slog"
	"regexp"
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
