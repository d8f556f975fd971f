// Package cause ties what is done later, elsewhere or for several callers at once
// to the traces of those who caused it.
//
// A row that somebody will act upon (an event that wakes streams on every replica,
// a hold or a checkout that expires one day) keeps the trace context of the
// transaction that made it, in a column named trace. Nobody has to think of it: the
// column's default is the setting [Setting], which a transaction of a sampled call
// sets for itself. Where nothing is sampled nothing is set, sent or stored.
//
// One rule says where the spans go of what serves several traces, be it a batch of
// payments, a push to a stream or a round of a job: into the first of them, with
// links to the others. So whoever pays alone sees all of it in one trace, whoever
// shared a batch finds it by a link, and it is sampled if any of them is. [Start]
// keeps that rule.
//
// Only contexts of our own spans get here. What a stranger sends as traceparent is
// dealt with at the door.
package cause
