// Package mix is the traffic that a scenario runs under: people in small closed
// groups who pay each other and look at their balances, customers who pay what
// terminals show, streams that follow wallets, a merchant and the terminals, and
// somebody who signs in again and again.
//
// Every caller does one thing at a time and goes on with it until it knows what
// became of it: what isn't known is asked again with the same idempotency key. So
// the rate is bounded by the number of callers, and a fault that stops the service
// stops them, too, instead of letting work pile up.
//
// Some ask in ways that clients of the real world do: with a second request under
// the same key at the same time, or afterwards; with the SDK's own retries and a key
// that it makes up; on streams that are dropped and go on by their token; behind gateways that lose a
// terminal and keep its session open.
package mix
