// Package prometheus holds the configuration of Prometheus, with what it alerts about,
// for package stack to fill in.
package prometheus

import _ "embed"

// Config is prometheus.yaml, a text/template.
//
//go:embed prometheus.yaml
var Config string

// Rules is rules.yaml, which Config names.
//
//go:embed rules.yaml
var Rules []byte
