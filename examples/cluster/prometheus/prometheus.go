// Package prometheus holds the configuration of Prometheus, with what it alerts about,
// for package stack to fill in.
package prometheus

import "embed"

// Files are prometheus.yaml, a text/template, and what it names.
//
//go:embed *.yaml
var Files embed.FS
