// Package audit keeps the record of who did what, when and from where: every
// action of an operator and every security event.
//
// A [Record] is written in the transaction of what it records, so that neither
// exists without the other, and it is a leaf of the same log as the transactions
// of the books: whoever removes or changes one breaks the seal. The serving role
// can add records and nothing else.
//
// What may be personal in a record (details, addresses) is sealed as a salted
// commitment. Erasing it leaves the record, and its proof, standing.
package audit
