package ledger

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Kind says what a transaction is for.
type Kind int16

// The kinds of transactions. The numbers are stored: never reuse one.
const (
	KindTransfer   Kind = 1  // one user paid another
	KindFunding    Kind = 2  // money came in from outside
	KindAdjustment Kind = 3  // an operator corrected something
	KindCapture    Kind = 4  // money that was held went to whom it was held for
	KindRefund     Kind = 5  // who received gave back
	KindReversal   Kind = 6  // an operator undid something
	KindRepayment  Kind = 7  // a debt was paid from what came in
	KindImport     Kind = 8  // it happened in another system, before
	KindPurchase   Kind = 9  // a customer paid a merchant
	KindSettlement Kind = 10 // a merchant's sales became available, or left for its owner
)

var kindNames = map[Kind]string{
	KindTransfer:   "transfer",
	KindFunding:    "funding",
	KindAdjustment: "adjustment",
	KindCapture:    "capture",
	KindRefund:     "refund",
	KindReversal:   "reversal",
	KindRepayment:  "repayment",
	KindImport:     "import",
	KindPurchase:   "purchase",
	KindSettlement: "settlement",
}

// String returns the kind's name, such as "transfer".
func (k Kind) String() string {
	if name, ok := kindNames[k]; ok {
		return name
	}
	return fmt.Sprintf("kind %d", int16(k))
}

// Posting adds a signed amount to an account.
type Posting struct {
	Account AccountID
	Amount  Amount
}

// Entry is a posting as it stands in its account's history.
type Entry struct {
	Account AccountID
	Code    string // the account's code
	Asset   AssetID
	Version int64  // 1, 2, 3 … within the account
	Amount  Amount // signed
	Balance Amount // of the account right after this entry
}

// Transaction is a committed set of entries that sum to zero for each asset.
type Transaction struct {
	ID         uuid.UUID
	Kind       Kind
	CreateTime time.Time // never decreases along an account's versions
	Note       string
	Details    json.RawMessage // nil or a JSON value
	Entries    []Entry         // in the order of the postings
	Counted    bool            // whether counters of limits counted it
}

// EntryOf returns the transaction's entry in an account.
func (t *Transaction) EntryOf(account AccountID) (Entry, bool) {
	for _, e := range t.Entries {
		if e.Account == account {
			return e, true
		}
	}
	return Entry{}, false
}

// AccountEntry is an entry together with its transaction.
type AccountEntry struct {
	Entry
	Transaction Transaction
}
