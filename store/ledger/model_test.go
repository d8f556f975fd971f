package ledger_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/tillbook/tillbook/store/ledger"
)

// order is a command as plain data, which the model and the ledger decide each
// in its own way.
type order struct {
	Key, Fingerprint string
	Replica          int
	Kind             ledger.Kind
	Note, Details    string
	Postings         []posting
	Sweeps           bool // moves all that the first account has to the second
	Declines         bool
}

type posting struct {
	Account int // index into the model's accounts
	Amount  string
}

// The errors that an order's decision gives itself.
var (
	errDeclined       = errors.New("declined")
	errNothingToSweep = errors.New("nothing to sweep")
)

// model is the ledger as one could write it on paper: big integers, one thing
// after another.
type model struct {
	accounts []*modelAccount
	done     map[string]*execution // by key
	all      []*execution          // in the order of execution
}

type modelAccount struct {
	id      ledger.AccountID
	code    string
	asset   ledger.AssetID
	bounded bool
	balance *big.Int
	history []*execution // the one at n made version n+1
}

func (a *modelAccount) lastTime() time.Time {
	if len(a.history) == 0 {
		return time.Time{}
	}
	return a.history[len(a.history)-1].CreateTime
}

// execution is a transaction that the ledger made and the model agreed with.
type execution struct {
	ledger.Transaction
	fingerprint string
}

// verdict is what the model says about an order: that it is the replay of an
// execution, that it is refused for one of some reasons, or which entries it
// makes.
type verdict struct {
	replay   *execution
	refusals []error
	entries  []ledger.Entry
}

var largest = new(big.Int).Sub(new(big.Int).Exp(big.NewInt(10), big.NewInt(ledger.MaxDigits), nil), big.NewInt(1))

func (m *model) judge(o *order) verdict {
	if e, ok := m.done[o.Key]; ok {
		if e.fingerprint != o.Fingerprint {
			return verdict{refusals: []error{ledger.ErrKeyReused}}
		}
		return verdict{replay: e}
	}
	if o.Declines {
		return verdict{refusals: []error{errDeclined}}
	}
	postings := o.Postings
	if o.Sweeps {
		from := m.accounts[postings[0].Account]
		if from.balance.Sign() <= 0 {
			return verdict{refusals: []error{errNothingToSweep}}
		}
		postings = []posting{
			{postings[0].Account, new(big.Int).Neg(from.balance).String()},
			{postings[1].Account, from.balance.String()},
		}
	}
	return m.weigh(postings)
}

// weigh collects every rule that postings break. The ledger may name any.
func (m *model) weigh(postings []posting) (v verdict) {
	refuse := func(err error) { v.refusals = append(v.refusals, err) }
	if len(postings) < 2 {
		refuse(ledger.ErrUnbalanced)
	}
	seen, sums := map[int]bool{}, map[ledger.AssetID]*big.Int{}
	for _, p := range postings {
		a, amount := m.accounts[p.Account], mustBig(p.Amount)
		after := new(big.Int).Add(a.balance, amount)
		if seen[p.Account] || amount.Sign() == 0 {
			refuse(ledger.ErrUnbalanced)
		}
		seen[p.Account] = true
		if a.bounded && after.Sign() < 0 {
			refuse(ledger.ErrInsufficientFunds)
		}
		if sums[a.asset] == nil {
			sums[a.asset] = new(big.Int)
		}
		if after.CmpAbs(largest) > 0 || sums[a.asset].Add(sums[a.asset], amount).CmpAbs(largest) > 0 {
			refuse(ledger.ErrAmountRange)
			continue
		}
		v.entries = append(v.entries, ledger.Entry{
			Account: a.id, Code: a.code, Asset: a.asset, Version: int64(len(a.history)) + 1,
			Amount: mustAmount(amount), Balance: mustAmount(after),
		})
	}
	for _, sum := range sums {
		if sum.Sign() != 0 {
			refuse(ledger.ErrUnbalanced)
		}
	}
	return v
}

// outcome is an order with what the ledger answered.
type outcome struct {
	*order
	answer
}

func (o *outcome) String() string {
	told := fmt.Sprintf("%v", o.err)
	if o.err == nil {
		told = fmt.Sprintf("%s of %v, replayed %v: %+v", o.Transaction.ID, o.Transaction.CreateTime, o.Replayed, o.Transaction.Entries)
	}
	return fmt.Sprintf("%+v\n -> %s", *o.order, told)
}

// explain brings the model up to what the ledger did with orders that ran at
// once, or says why no order of execution gives these answers.
//
// The order in which transactions were made follows from their times and ids.
// They are judged again in that order; whatever made nothing must have been
// right at one moment in between.
func (m *model) explain(outcomes []outcome) error {
	var made, others []outcome
	for _, o := range outcomes {
		if o.err == nil && !o.Replayed {
			made = append(made, o)
		} else {
			others = append(others, o)
		}
	}
	slices.SortFunc(made, func(a, b outcome) int { return inBooksOrder(&a.Transaction, &b.Transaction) })
	others = slices.DeleteFunc(others, m.agrees)
	for _, o := range made {
		if err := m.execute(o); err != nil {
			return err
		}
		others = slices.DeleteFunc(others, m.agrees)
	}
	for i := range others {
		return fmt.Errorf("at no moment could this be: %s", &others[i])
	}
	return nil
}

func inBooksOrder(a, b *ledger.Transaction) int {
	return cmp.Or(a.CreateTime.Compare(b.CreateTime), bytes.Compare(a.ID[:], b.ID[:]))
}

// agrees tells whether now would be a moment for an answer that made nothing.
func (m *model) agrees(o outcome) bool {
	v := m.judge(o.order)
	if v.replay != nil {
		return o.err == nil && sameTransaction(&o.Transaction, &v.replay.Transaction) == nil
	}
	return slices.ContainsFunc(v.refusals, func(err error) bool { return errors.Is(o.err, err) })
}

// execute makes a transaction in the model, too.
func (m *model) execute(o outcome) error {
	v := m.judge(o.order)
	if v.replay != nil {
		return fmt.Errorf("%+v was executed twice, as %s and %s", *o.order, v.replay.ID, o.Transaction.ID)
	}
	if v.refusals != nil {
		return fmt.Errorf("%+v was executed, should be refused: %v", *o.order, v.refusals)
	}
	want := ledger.Transaction{
		ID: o.Transaction.ID, CreateTime: o.Transaction.CreateTime,
		Kind: o.Kind, Note: o.Note, Details: json.RawMessage(o.Details), Entries: v.entries,
	}
	if err := sameTransaction(&o.Transaction, &want); err != nil {
		return fmt.Errorf("%+v: %w", *o.order, err)
	}
	e := &execution{Transaction: o.Transaction, fingerprint: o.Fingerprint}
	for _, entry := range o.Transaction.Entries {
		a := m.account(entry.Account)
		if len(a.history) > 0 && inBooksOrder(&a.history[len(a.history)-1].Transaction, &o.Transaction) >= 0 {
			return fmt.Errorf("%s follows %s in %s but does not lie behind it",
				o.Transaction.ID, a.history[len(a.history)-1].ID, a.code)
		}
		a.balance = mustBig(entry.Balance.String())
		a.history = append(a.history, e)
	}
	m.done[o.Key] = e
	m.all = append(m.all, e)
	return nil
}

func (m *model) account(id ledger.AccountID) *modelAccount {
	for _, a := range m.accounts {
		if a.id == id {
			return a
		}
	}
	return nil
}

// sameTransaction tells how two transactions differ. Details are stored as
// jsonb: the value counts, not its spelling.
func sameTransaction(got, want *ledger.Transaction) error {
	var differ []string
	check := func(what string, same bool) {
		if !same {
			differ = append(differ, what)
		}
	}
	check("id", got.ID == want.ID)
	check("kind", got.Kind == want.Kind)
	check("time", got.CreateTime.Equal(want.CreateTime))
	check("note", got.Note == want.Note)
	check("details", sameJSON(got.Details, want.Details))
	check("entries", slices.Equal(got.Entries, want.Entries))
	if differ == nil {
		return nil
	}
	return fmt.Errorf("got transaction %+v, want %+v: %s", *got, *want, strings.Join(differ, ", "))
}

func sameJSON(a, b json.RawMessage) bool {
	if len(a) == 0 || len(b) == 0 {
		return len(a) == len(b)
	}
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

func mustBig(s string) *big.Int {
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		panic("not an integer: " + s)
	}
	return n
}

func mustAmount(n *big.Int) ledger.Amount {
	a, err := ledger.ParseDecimal(n.String(), 0)
	if err != nil {
		panic(err)
	}
	return a
}
