package ledger_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"

	"pgregory.net/rapid"

	"github.com/tillbook/tillbook/store/ledger"
)

// drawOrder draws an order: mostly sensible ones, and all the ways to be wrong.
// Some repeat an order of before or take its key.
func (w *world) drawOrder(t *rapid.T, replicas int) *order {
	shapes := []func(*rapid.T, *order){
		w.transfer, w.transfer, w.transfer, w.fund, w.fund, w.several, w.several, w.sweep, w.wild,
	}
	o := &order{
		Replica: rapid.IntRange(0, replicas-1).Draw(t, "replica"),
		Kind:    ledger.Kind(rapid.IntRange(1, 3).Draw(t, "kind")),
		Note:    rapid.SampledFrom([]string{"", "lunch", "café ☕ 昼食"}).Draw(t, "note"),
		Details: rapid.SampledFrom([]string{"", `{"a": [1, "x"], "b": null}`, `"text"`}).Draw(t, "details"),
	}
	w.drawn++
	o.Key = fmt.Sprint(w.number, "/", w.drawn)
	o.Fingerprint = o.Key
	shapes[rapid.IntRange(0, len(shapes)-1).Draw(t, "shape")](t, o)
	o.Declines = rapid.IntRange(0, 29).Draw(t, "declines") == 29
	if len(w.past) == 0 {
		return o
	}
	earlier := w.past[rapid.IntRange(0, len(w.past)-1).Draw(t, "earlier")]
	switch rapid.IntRange(0, 9).Draw(t, "reuse") {
	case 8: // the same request again
		again := *earlier
		again.Replica = o.Replica
		return &again
	case 9: // another request under a key used before
		o.Key = earlier.Key
	}
	return o
}

func (w *world) index(t *rapid.T, label string) int {
	return rapid.IntRange(0, len(w.model.accounts)-1).Draw(t, label)
}

// drawAmount draws amounts that balances can and can't bear.
func drawAmount(t *rapid.T, zeros ...int64) *big.Int {
	n := big.NewInt(rapid.Int64Range(1, 60).Draw(t, "amount"))
	zero := rapid.SampledFrom(zeros).Draw(t, "zeros")
	return n.Mul(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(zero), nil))
}

// fund moves money in from the outside account of an asset.
func (w *world) fund(t *rapid.T, o *order) {
	to := w.index(t, "to")
	from := slices.IndexFunc(w.model.accounts, func(a *modelAccount) bool { return a.asset == w.model.accounts[to].asset })
	if from == to {
		to = w.other(t, from)
	}
	amount := drawAmount(t, 1, 1, 1, 1, 2, 17, 36)
	o.Postings = []posting{{from, new(big.Int).Neg(amount).String()}, {to, amount.String()}}
}

func (w *world) transfer(t *rapid.T, o *order) {
	from := w.index(t, "from")
	amount := drawAmount(t, 0, 0, 0, 0, 0, 0, 0, 0, 17, 36)
	o.Postings = []posting{{from, new(big.Int).Neg(amount).String()}, {w.other(t, from), amount.String()}}
}

// other draws another account of the same asset.
func (w *world) other(t *rapid.T, than int) int {
	var others []int
	for i, a := range w.model.accounts {
		if i != than && a.asset == w.model.accounts[than].asset {
			others = append(others, i)
		}
	}
	return rapid.SampledFrom(others).Draw(t, "other")
}

// several balances two to six postings per asset, with what the last account of
// each asset takes.
func (w *world) several(t *rapid.T, o *order) {
	chosen := rapid.Permutation(indexes(w.model.accounts)).Draw(t, "accounts")
	chosen = chosen[:rapid.IntRange(2, min(6, len(chosen))).Draw(t, "postings")]
	open := map[ledger.AssetID]*big.Int{}
	last := map[ledger.AssetID]int{}
	for _, i := range chosen {
		last[w.model.accounts[i].asset] = i
	}
	for _, i := range chosen {
		asset := w.model.accounts[i].asset
		if open[asset] == nil {
			open[asset] = new(big.Int)
		}
		amount := big.NewInt(rapid.Int64Range(-30, 30).Draw(t, "amount"))
		if last[asset] == i {
			amount.Neg(open[asset])
		}
		open[asset].Add(open[asset], amount)
		o.Postings = append(o.Postings, posting{i, amount.String()})
	}
	// An asset of which only one account was chosen would get a zero.
	if rapid.IntRange(0, 5).Draw(t, "zeros") < 5 {
		o.Postings = slices.DeleteFunc(o.Postings, func(p posting) bool { return p.Amount == "0" })
	}
}

func indexes(accounts []*modelAccount) []int {
	list := make([]int, len(accounts))
	for i := range list {
		list[i] = i
	}
	return list
}

func (w *world) sweep(t *rapid.T, o *order) {
	o.Sweeps = true
	from := w.index(t, "from")
	o.Postings = []posting{{from, "0"}, {w.other(t, from), "0"}}
}

// wild draws postings without sense.
func (w *world) wild(t *rapid.T, o *order) {
	for range rapid.IntRange(0, 4).Draw(t, "postings") {
		o.Postings = append(o.Postings, posting{
			w.index(t, "account"), fmt.Sprint(rapid.Int64Range(-3, 3).Draw(t, "amount")),
		})
	}
}

// command turns an order into what the ledger takes.
func (w *world) command(o *order) ledger.Command {
	var accounts []ledger.AccountID
	var postings []ledger.Posting
	for _, p := range o.Postings {
		id := w.model.accounts[p.Account].id
		accounts = append(accounts, id)
		postings = append(postings, ledger.Posting{Account: id, Amount: mustAmount(mustBig(p.Amount))})
	}
	return ledger.Command{
		Key:         ledger.NewKey("model", o.Key),
		Fingerprint: ledger.Fingerprint(o.Fingerprint),
		Kind:        o.Kind,
		Accounts:    accounts,
		Decide: func(v ledger.View) (ledger.Draft, error) {
			if o.Declines {
				return ledger.Draft{}, errDeclined
			}
			draft := ledger.Draft{Postings: postings, Note: o.Note, Details: json.RawMessage(o.Details)}
			if o.Sweeps {
				from := v.Account(accounts[0])
				if from.Available().Sign() <= 0 {
					return ledger.Draft{}, errNothingToSweep
				}
				draft.Postings = []ledger.Posting{{Account: accounts[0], Amount: from.Available().Neg()}, {Account: accounts[1], Amount: from.Available()}}
			}
			return draft, nil
		},
	}
}
