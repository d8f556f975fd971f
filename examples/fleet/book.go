package main

import (
	"sync"
	"time"

	checkoutv1 "github.com/tillbook/tillbook/gen/tillbook/checkout/v1"
)

// sale is a checkout as the client process knows it: what it was told when it made
// and paid it, and what its terminal was told.
type sale struct {
	created, settled bool // known from the answers
	offers, payments int  // known from the session
	offered, told    chan struct{}
}

// book keeps all sales. Messages often come before the answers.
type book struct {
	mu                sync.Mutex
	sales             map[string]*sale
	offeredUS, paidUS []int64
}

func newBook() *book { return &book{sales: make(map[string]*sale)} }

// sale returns a sale, which may be new. It wants the lock.
func (b *book) sale(checkout string) *sale {
	s := b.sales[checkout]
	if s == nil {
		s = &sale{offered: make(chan struct{}), told: make(chan struct{})}
		b.sales[checkout] = s
	}
	return s
}

// created notes that a checkout was made, and returns what is closed when its
// terminal has it.
func (b *book) created(checkout string) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.sale(checkout)
	s.created = true
	return s.offered
}

// settled notes that a checkout was paid, and returns what is closed when its
// terminal was told.
func (b *book) settled(checkout string) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.sale(checkout)
	s.settled = true
	return s.told
}

// offered and paid are what a terminal is told.
func (b *book) offered(c *checkoutv1.Checkout, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.sale(c.GetCheckoutId())
	if s.offers++; s.offers == 1 {
		close(s.offered)
		b.offeredUS = append(b.offeredUS, now.Sub(c.GetCreateTime().AsTime()).Microseconds())
	}
}

func (b *book) paid(c *checkoutv1.Checkout, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.sale(c.GetCheckoutId())
	if s.payments++; s.payments == 1 {
		close(s.told)
		b.paidUS = append(b.paidUS, now.Sub(c.GetCloseTime().AsTime()).Microseconds())
	}
}

// latencies returns how long pushes took since it was asked last.
func (b *book) latencies() (offeredUS, paidUS []int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	offeredUS, paidUS = b.offeredUS, b.paidUS
	b.offeredUS, b.paidUS = nil, nil
	return offeredUS, paidUS
}

// audit counts what was never told and what was told more than once.
func (b *book) audit() (lost, doubled int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.sales {
		if s.created && s.offers == 0 {
			lost++
		}
		if s.settled && s.payments == 0 {
			lost++
		}
		doubled += max(0, s.offers-1) + max(0, s.payments-1)
	}
	return lost, doubled
}
