package ledger_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/tillbook/tillbook/store/ledger"
)

// withText is a transfer with a note and details.
func withText(c ledger.Command, note, details string) ledger.Command {
	decide := c.Decide
	c.Decide = func(v ledger.View) (ledger.Draft, error) {
		draft, err := decide(v)
		draft.Note, draft.Details = note, json.RawMessage(details)
		return draft, err
	}
	return c
}

// Texts that PostgreSQL doesn't store, or not as JSON.
var unstorable = map[string]struct{ note, details string }{
	"a NUL byte in the note":             {"lunch\x00", ""},
	"a note that is not UTF-8":           {"caf\xe9", ""},
	"half a rune at the end of the note": {"caf\xc3", ""},
	"a surrogate in the note":            {"\xed\xa0\x80", ""},
	"details that are not JSON":          {"", `{"a":`},
	"two values as details":              {"", `1 2`},
	"a space as details":                 {"", ` `},
	"details that are not UTF-8":         {"", "\"caf\xe9\""},
	"a NUL byte in the details":          {"", "\"a\x00b\""},
	"an escaped NUL in the details":      {"", `{"a": "b\u0000c"}`},
	"an escaped NUL in a name":           {"", `{"\u0000": 1}`},
	"half a surrogate pair":              {"", `"\ud83d"`},
	"half a pair and another escape":     {"", `"\ud83d\n"`},
	"the second half alone":              {"", `"\ude00"`},
	"two first halves":                   {"", `"\ud83d\ud83d\ude00"`},
	"a number too large for numeric":     {"", `1e200000`},
}

var storable = map[string]struct{ note, details string }{
	"nothing":                   {"", ""},
	"control characters":        {"\x01\t\n\x7f", `"\u0001"`},
	"runes of all lengths":      {"aé昼😀\U0010FFFF�", `"aé昼😀\ufffd"`},
	"a surrogate pair":          {"", `"\ud83d\ude00 \uD83D\uDE00"`},
	"a backslash before u0000":  {`\u0000`, `"\\u0000 \\ud83d"`},
	"three backslashes":         {"", `"\\\\u0000 \\\u0041"`},
	"a value that is no object": {"", `null`},
	"spaces around it":          {"", " {} \n"},
}

func TestTextThatCannotBeStoredIsRefusedAndNothingElse(t *testing.T) {
	b := newBooks(t, 1, ledger.Config{})
	from, to := b.account("user/1/main", jpy, 1000), b.account("user/2/main", jpy, 0)
	for name, text := range unstorable {
		_, err := b.ledgers[0].Commit(ctx, withText(transfer(name, from, to, 1), text.note, text.details))
		if !errors.Is(err, ledger.ErrInvalidText) {
			t.Errorf("%s: %v, want ErrInvalidText", name, err)
		}
	}
	if got := b.balance("user/2/main"); got != 0 {
		t.Errorf("%d moved with text that can't be stored", got)
	}
	for name, text := range storable {
		c := withText(transfer(name, from, to, 1), text.note, text.details)
		made, err := b.ledgers[0].Commit(ctx, c)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		read, err := b.ledgers[0].Transaction(ctx, made.Transaction.ID)
		if err == nil {
			err = sameTransaction(&read, &made.Transaction)
		}
		if err != nil || read.Note != text.note || !sameJSON(read.Details, json.RawMessage(text.details)) {
			t.Errorf("%s: read back as %q, %s: %v", name, read.Note, read.Details, err)
		}
	}
}

func TestABadCommandNeverFailsItsNeighbours(t *testing.T) {
	for name, text := range map[string]struct{ note, details string }{
		"found by the committer": unstorable["a NUL byte in the note"],
		"found by PostgreSQL":    unstorable["a number too large for numeric"],
	} {
		t.Run(name, func(t *testing.T) {
			b := newBooks(t, 1, ledger.Config{})
			l := b.ledgers[0]
			from, to := b.account("user/1/main", jpy, 1000), b.account("user/2/main", jpy, 0)
			g, first := busy(t, b, l)
			before := l.Stats()
			var good, bad []<-chan answer
			for i := range 53 {
				c := transfer(fmt.Sprint(i), from, to, 1)
				if i%25 == 1 {
					bad = append(bad, commit(ctx, l, withText(c, text.note, text.details)))
				} else {
					good = append(good, commit(ctx, l, c))
				}
				waitFor(t, "the command to wait", func() bool { return l.Stats().QueueDepth == i+1 })
			}
			close(g.open)
			if a := <-first; a.err != nil {
				t.Error(a.err)
			}
			for i, done := range good {
				if a := <-done; a.err != nil {
					t.Errorf("neighbour %d: %v", i, a.err)
				}
			}
			for i, done := range bad {
				if a := <-done; !errors.Is(a.err, ledger.ErrInvalidText) {
					t.Errorf("bad command %d: %+v", i, a)
				}
			}
			if s := l.Stats(); s.Batches != before.Batches+1 || s.Calls != before.Calls+53 || b.balance("user/2/main") != 50 {
				t.Errorf("%d arrived; the 53 commands went in %d batches", b.balance("user/2/main"), s.Batches-before.Batches)
			}
		})
	}
}

// A constraint is the last guard against a mistake in this package. What it
// stops must fail alone, and for good.
func TestWhatOnlyAConstraintStopsFailsAlone(t *testing.T) {
	b := newBooks(t, 1, ledger.Config{})
	l := b.ledgers[0]
	from, to := b.account("user/1/main", jpy, 100), b.account("user/2/main", jpy, 0)
	poor := b.account("user/3/main", jpy, 0)
	// The committer goes by the floor that it reads, PostgreSQL by all constraints.
	if _, err := b.superuser().Exec(ctx, `ALTER TABLE accounts ADD CONSTRAINT accounts_test CHECK (code <> 'user/3/main' OR balance = 0)`); err != nil {
		t.Fatal(err)
	}
	g, first := busy(t, b, l)
	bad := commit(ctx, l, transfer("bad", from, poor, 1))
	var good []<-chan answer
	for i := range 10 {
		good = append(good, commit(ctx, l, transfer(fmt.Sprint(i), from, to, 1)))
	}
	waitFor(t, "the commands to wait", func() bool { return l.Stats().QueueDepth == 11 })
	close(g.open)
	if a := <-first; a.err != nil {
		t.Error(a.err)
	}
	for i, done := range good {
		if a := <-done; a.err != nil {
			t.Errorf("neighbour %d: %v", i, a.err)
		}
	}
	if a := <-bad; a.err == nil || errors.Is(a.err, ledger.ErrOutcomeUnknown) || errors.Is(a.err, ledger.ErrUnavailable) {
		t.Errorf("the command that broke a constraint: %+v", a)
	}
	if got := b.balance("user/2/main"); got != 10 {
		t.Errorf("%d arrived, want 10", got)
	}
}
