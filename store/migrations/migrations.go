// Package migrations holds the database schema as numbered goose files, embedded
// into the program.
//
// A migration, once released, never changes. Each keeps the version before it
// working (expand first, contract a release later), so that two versions of
// Tillbook run side by side while a deployment rolls. Every table says here
// what the serving role tillbook_app may do with it; what isn't granted is
// forbidden.
package migrations

import "embed"

// FS holds the migrations at its root.
//
//go:embed *.sql
var FS embed.FS
