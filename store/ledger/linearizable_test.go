package ledger_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/tillbook/tillbook/store/ledger"
)

// A group is a few accounts that pay only each other, so that it can be checked
// by itself. Its state is the vector of their balances: a transfer couples them,
// so single accounts can't be.
const groupSize = 3

type groupState [groupSize]int64

// groupCall is an operation on a group: a payment out of one account into one
// or both of the others, or a read of one balance or of all.
type groupCall struct {
	group int
	read  bool
	// From is the account that pays or is read; -1 reads all.
	from   int
	amount [groupSize]int64 // what each other account gets
}

// groupAnswer is what came of it.
type groupAnswer struct {
	refused  bool
	balances groupState // read, or as the payment left those that it touched
}

// groups is the model for the checker.
var groups = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byGroup := map[int][]porcupine.Operation{}
		for _, o := range history {
			group := o.Input.(groupCall).group
			byGroup[group] = append(byGroup[group], o)
		}
		var parts [][]porcupine.Operation
		for _, part := range byGroup {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return groupState{100, 100, 100} },
	Step: func(state, input, output any) (bool, any) {
		return step(state.(groupState), input.(groupCall), output.(groupAnswer))
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

func step(s groupState, c groupCall, a groupAnswer) (bool, any) {
	if c.read {
		return (c.from < 0 && s == a.balances) || (c.from >= 0 && s[c.from] == a.balances[c.from]), s
	}
	after := s
	for i, amount := range c.amount {
		after[i] += amount
		after[c.from] -= amount
	}
	if after[c.from] < 0 {
		return a.refused, s
	}
	if a.refused {
		return false, s
	}
	for i := range after {
		if after[i] != s[i] && after[i] != a.balances[i] {
			return false, s
		}
	}
	return true, after
}

// groupClient runs operations on a group and records them.
type groupClient struct {
	l        *ledger.Ledger
	id       int
	prefix   string
	accounts [groupSize]ledger.AccountID
	start    time.Time
	random   *rand.Rand
	history  []porcupine.Operation
}

func groupCode(prefix string, account int) string { return fmt.Sprint(prefix, account) }

func (c *groupClient) run(group, operations int) error {
	for n := range operations {
		call := groupCall{group: group, read: c.random.IntN(3) == 0, from: c.random.IntN(groupSize)}
		switch {
		case call.read && c.random.IntN(2) == 0:
			call.from = -1
		case !call.read:
			call.amount[(call.from+1)%groupSize] = 1 + c.random.Int64N(90)
			if c.random.IntN(3) == 0 {
				call.amount[(call.from+2)%groupSize] = 1 + c.random.Int64N(30)
			}
		}
		o := porcupine.Operation{ClientId: c.id, Input: call, Call: time.Since(c.start).Nanoseconds()}
		a, err := c.do(call, fmt.Sprint(c.prefix, c.id, "/", n))
		if err != nil {
			return fmt.Errorf("%+v: %w", call, err)
		}
		o.Output, o.Return = a, time.Since(c.start).Nanoseconds()
		c.history = append(c.history, o)
	}
	return nil
}

func (c *groupClient) do(call groupCall, key string) (a groupAnswer, err error) {
	switch {
	case call.read && call.from < 0:
		accounts, err := c.l.AccountsUnder(ctx, c.prefix)
		for i := range accounts {
			_, _ = fmt.Sscan(accounts[i].Balance.String(), &a.balances[i])
		}
		return a, err
	case call.read:
		account, err := c.l.Account(ctx, groupCode(c.prefix, call.from))
		_, _ = fmt.Sscan(account.Balance.String(), &a.balances[call.from])
		return a, err
	}
	command := ledger.Command{
		Key: ledger.NewKey("group", key), Fingerprint: ledger.Fingerprint(key),
		Kind: ledger.KindTransfer, Accounts: c.accounts[:],
	}
	var postings []ledger.Posting
	var total int64
	for i, amount := range call.amount {
		if amount > 0 {
			postings = append(postings, ledger.Posting{Account: c.accounts[i], Amount: ledger.NewAmount(amount)})
			total += amount
		}
	}
	postings = append(postings, ledger.Posting{Account: c.accounts[call.from], Amount: ledger.NewAmount(-total)})
	command.Decide = func(ledger.View) (ledger.Draft, error) { return ledger.Draft{Postings: postings}, nil }
	result, err := c.l.Commit(ctx, command)
	if errors.Is(err, ledger.ErrInsufficientFunds) {
		return groupAnswer{refused: true}, nil
	}
	for i, id := range c.accounts {
		if entry, ok := result.Transaction.EntryOf(id); ok {
			_, _ = fmt.Sscan(entry.Balance.String(), &a.balances[i])
		}
	}
	return a, err
}

func TestTransfersAndReadsOnSeveralLedgersAreLinearizable(t *testing.T) {
	const groupCount, clientsPerGroup, operations = 4, 6, 40
	b := newBooks(t, 3, ledger.Config{Committers: 2, MaxBatch: 8})
	start, seed := time.Now(), rand.Uint64()
	t.Logf("seed %d", seed)
	var clients []*groupClient
	var running sync.WaitGroup
	for group := range groupCount {
		prefix := fmt.Sprintf("group/%d/", group)
		var accounts [groupSize]ledger.AccountID
		for i := range accounts {
			accounts[i] = b.account(groupCode(prefix, i), jpy, 100)
		}
		for n := range clientsPerGroup {
			c := &groupClient{
				l: b.ledgers[n%len(b.ledgers)], id: len(clients), prefix: prefix, accounts: accounts, start: start,
				random: rand.New(rand.NewPCG(seed, uint64(len(clients)))),
			}
			clients = append(clients, c)
			running.Go(func() {
				if err := c.run(group, operations); err != nil {
					t.Error(err)
				}
			})
		}
	}
	running.Wait()
	var history []porcupine.Operation
	refused := 0
	for _, c := range clients {
		history = append(history, c.history...)
		for _, o := range c.history {
			if o.Output.(groupAnswer).refused {
				refused++
			}
		}
	}
	if result := porcupine.CheckOperationsTimeout(groups, history, time.Minute); result != porcupine.Ok {
		t.Errorf("%d operations, %d of them refused: the checker says %s", len(history), refused, result)
	}
	if refused == 0 || refused == len(history) {
		t.Errorf("%d of %d operations were refused; the test should see both", refused, len(history))
	}
}

// The checker's own test: each history is one that a right ledger can't make.
func TestTheLinearizabilityCheckRejectsWrongHistories(t *testing.T) {
	at := func(from, to int64, c groupCall, a groupAnswer) porcupine.Operation {
		return porcupine.Operation{Input: c, Output: a, Call: from, Return: to}
	}
	pay := groupCall{from: 0, amount: [groupSize]int64{0, 80, 0}}
	paid := groupAnswer{balances: groupState{20, 180, 0}}
	refused := groupAnswer{refused: true}
	readAll := groupCall{read: true, from: -1}
	all := func(a, b, c int64) groupAnswer { return groupAnswer{balances: groupState{a, b, c}} }
	other := pay
	other.group = 1
	for name, c := range map[string]struct {
		history []porcupine.Operation
		want    bool
	}{
		"a payment, then a read":          {[]porcupine.Operation{at(1, 2, pay, paid), at(3, 4, readAll, all(20, 180, 100))}, true},
		"a read during a payment":         {[]porcupine.Operation{at(1, 9, pay, paid), at(3, 4, readAll, all(100, 100, 100))}, true},
		"groups apart":                    {[]porcupine.Operation{at(1, 2, pay, paid), at(3, 4, other, paid)}, true},
		"an old balance after a payment":  {[]porcupine.Operation{at(1, 2, pay, paid), at(3, 4, readAll, all(100, 100, 100))}, false},
		"half a payment":                  {[]porcupine.Operation{at(1, 9, pay, paid), at(3, 4, readAll, all(20, 100, 100))}, false},
		"a balance that went back":        {[]porcupine.Operation{at(1, 9, pay, paid), at(2, 3, readAll, all(20, 180, 100)), at(4, 5, readAll, all(100, 100, 100))}, false},
		"money spent twice":               {[]porcupine.Operation{at(1, 9, pay, paid), at(2, 8, pay, paid)}, false},
		"a refusal though there is money": {[]porcupine.Operation{at(1, 2, pay, refused)}, false},
		"a refused payment that moved":    {[]porcupine.Operation{at(1, 2, pay, paid), at(3, 4, pay, refused), at(5, 6, readAll, all(-60, 260, 100))}, false},
		"a payment that vanished":         {[]porcupine.Operation{at(1, 2, pay, paid), at(3, 4, pay, paid)}, false},
	} {
		if got := porcupine.CheckOperations(groups, c.history); got != c.want {
			t.Errorf("%s: linearizable is %v", name, got)
		}
	}
}
