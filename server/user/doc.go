// Package user is the service by which operators look after users: find them, say
// how far their identity is known, and forget them.
//
// To forget a person is to keep the books. What names them goes: the row with
// phone number, username and password, sessions, devices, and every text in the
// transactions that they took part in. What stays is an id that leads to nobody,
// and amounts. Texts were sealed as salted commitments, which take their place, so
// every receipt and the whole log still verify. The accounts are closed in the same
// transaction in which they are found empty, so no money can be lost there.
package user
