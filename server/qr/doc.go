// Package qr writes and reads the texts of QR codes that merchants show to be
// paid: EMV QRCPS, Merchant-Presented Mode, version 1.1.
//
// Such a text is a row of data objects, each a tag of two digits, a length of two
// digits that counts characters, and a value, which in templates is a row of data
// objects again. The first says the version, the last is a checksum of all that
// stands before it. One text may name the merchant's accounts with any number of
// payment systems, so a customer of any of them can pay by it: tags 02 to 51 hold
// one account each. Ours is the template that [System] marks. It names the store,
// the checkout if the code is for one, and the asset if ISO 4217 has no number for
// it; the tag that others read says 999 then, "no currency".
//
// [Encode] writes only texts that [Parse] reads. Names in other scripts than the
// one that the standard allows are reduced to it, never refused: a code that shows
// a name imperfectly still takes payments.
//
// [Parse] is strict about what the standard defines, also where others are lax,
// because a text that two programs read differently is how a payment reaches the
// wrong merchant: no tag twice, no length that doesn't fit, no checksum in lower
// case. What belongs to other payment systems or to later versions it passes over,
// as the standard demands. A text without our template is thus read, but isn't
// [Code.Ours].
//
// A code is a claim of whoever printed it. Read from it which store and checkout
// are meant; take amount, asset and name of a checkout from the database.
package qr
