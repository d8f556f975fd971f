package wallet

import (
	"bytes"
	"context"
	"fmt"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/store/ledger"
)

// catchUp sends every entry that the user's accounts have now and the client
// doesn't know, and tells whether there was any. Each account's come in the
// order of its versions, and those of different accounts in the order of their
// times: transactions of one moment by their ids.
//
// Of each account one page is in memory at a time.
func (w *watch) catchUp(ctx context.Context) (sent bool, err error) {
	accounts, err := w.accounts(ctx)
	if err != nil {
		return false, err
	}
	var behind []*backlog
	for _, a := range accounts {
		if a.Version <= w.known[a.ID] {
			continue
		}
		b := &backlog{account: a.ID, known: w.known[a.ID], until: a.Version}
		if err := w.load(ctx, b); err != nil {
			return false, err
		}
		behind = append(behind, b)
	}
	for {
		next := earliest(behind)
		if next == nil {
			told, err := w.tellHeld(ctx, accounts)
			return sent || told, err
		}
		if err := w.change(next.pop()); err != nil {
			return sent, err
		}
		sent = true
		if len(next.entries) == 0 && next.known < next.until {
			if err := w.load(ctx, next); err != nil {
				return sent, err
			}
		}
	}
}

// backlog is what one account has that the client doesn't know.
type backlog struct {
	account ledger.AccountID
	known   int64 // the version before entries
	until   int64 // the version at which this round ends
	entries []ledger.AccountEntry
	shown   []*walletv1.Transaction // entries as the user sees them
}

// load reads the next page. It stops at the version that the account had when
// the round began: what came later may belong behind another account's entry
// that this round doesn't know of.
func (w *watch) load(ctx context.Context, b *backlog) error {
	limit := min(int64(w.service.watch.PageSize), b.until-b.known)
	entries, err := w.service.ledger.EntriesAfter(ctx, b.account, b.known, int(limit))
	if err != nil {
		return err
	}
	if len(entries) == 0 || entries[0].Version != b.known+1 {
		return fmt.Errorf("account %d lacks the entry with version %d", b.account, b.known+1)
	}
	b.entries = entries
	b.shown, err = w.service.views(ctx, w.user, entries)
	return err
}

func (b *backlog) pop() (ledger.AccountEntry, *walletv1.Transaction) {
	e, shown := b.entries[0], b.shown[0]
	b.entries, b.shown, b.known = b.entries[1:], b.shown[1:], b.entries[0].Version
	return e, shown
}

// earliest returns the backlog whose first entry comes before those of the
// others; nil if all are empty.
func earliest(list []*backlog) *backlog {
	var first *backlog
	for _, b := range list {
		if len(b.entries) > 0 && (first == nil || before(&b.entries[0], &first.entries[0])) {
			first = b
		}
	}
	return first
}

func before(a, b *ledger.AccountEntry) bool {
	if !a.Transaction.CreateTime.Equal(b.Transaction.CreateTime) {
		return a.Transaction.CreateTime.Before(b.Transaction.CreateTime)
	}
	return bytes.Compare(a.Transaction.ID[:], b.Transaction.ID[:]) < 0
}

// change sends an entry; from then on the client knows its version.
func (w *watch) change(e ledger.AccountEntry, shown *walletv1.Transaction) error {
	w.known[e.Account] = e.Version
	return w.send(&walletv1.WatchWalletResponse{Event: &walletv1.WatchWalletResponse_Change_{
		Change: &walletv1.WatchWalletResponse_Change{Transaction: shown},
	}})
}
