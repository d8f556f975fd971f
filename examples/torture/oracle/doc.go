// Package oracle says what a scenario proved, from three kinds of evidence: what
// clients were answered and told (package record), what the books say through the
// API, and what `tillbook verify` says of the rows.
//
// Every transaction in the books must be one that somebody was answered, and the
// other way round: so what was acknowledged and isn't there is lost, and what is
// there more often than it was asked for is doubled. A sale must have made one
// checkout. The same request sent again must be answered as the first time. Each
// wallet's history must add up, from what it began with to what it has, and never fall
// below zero. Each stream must have told its wallet's history, each step once and in
// order. What closed groups of people paid each other and read must be explained by
// some order of these operations in which each takes effect between call and answer
// (porcupine).
//
// A terminal has one session: older ones must have been ended, wherever they are.
//
// Nothing may be left open: callers ask again with the same key until they know.
package oracle
