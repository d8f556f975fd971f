// Package patroni holds the configuration of a database node, patroni.yaml, and what
// makes the database, post_bootstrap.sh, for package stack to fill in.
package patroni

import _ "embed" // the files

// Config is a text/template.
//
//go:embed patroni.yaml
var Config string

// PostBootstrap is a text/template of a shell script that Patroni runs once, on the
// first primary, with the superuser's connection string.
//
//go:embed post_bootstrap.sh
var PostBootstrap string
