// Package id makes and reads the ids that clients see: a prefix that says what
// the thing is, and 26 characters that sort by age, such as
// "txn_06b0q7z8k4f0001m2n3p4q5r6s".
//
// Behind the prefix is a UUIDv7 (RFC 9562) in Crockford's base32. The first ten
// of its random bits are a cell number: all zero today, they let a later
// deployment of many cells, each with a PostgreSQL cluster of its own, route a
// request by its id alone. In the database ids are of type uuid.
//
// Clients treat ids as opaque. That somebody knows an id never gives a right:
// every query is scoped by its owner.
package id
