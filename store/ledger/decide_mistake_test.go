package ledger

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestAHoldThatCannotBeStoredIsRefusedByItself(t *testing.T) {
	for name, test := range map[string]struct {
		excess    int
		reference string
		want      error
	}{
		"an excess below zero":       {-1, "", ErrUnbalanced},
		"an excess beyond the most":  {MaxExcessBPS + 1, "", ErrUnbalanced},
		"a reference not in UTF-8":   {0, "\xff", ErrInvalidText},
		"a reference with a NUL":     {0, "a\x00b", ErrInvalidText},
		"the most that is permitted": {MaxExcessBPS, "Zoë's café", nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := testBatch()
			c := HoldCommand(identity("hold"), NewHold{
				Account: 3, Amount: NewAmount(10), ExcessBPS: test.excess, Reference: test.reference,
				ExpireTime: b.now.Add(time.Hour),
			})
			before := whole(b)
			if err := b.decide(&c).err; !errors.Is(err, test.want) {
				t.Fatalf("decided with %v, want %v", err, test.want)
			}
			if test.want != nil && whole(b) != before {
				t.Error("a refused hold changed the batch")
			}
		})
	}
}

func TestAHoldOfAClosedAccountCanBeVoidedButNotIncreased(t *testing.T) {
	b := testBatch()
	h := newHold(t, b, "hold", 10, 0)
	b.accounts[3].tier = TierClosed
	if err := b.decide(increase("more", h.ID, 5)).err; !errors.Is(err, ErrAccountClosed) {
		t.Errorf("increased with %v, want %v", err, ErrAccountClosed)
	}
	mustDecide(t, b, holdCommand("void", h.ID, voidHold))
}

func TestASubjectMustEndWithAnOutcome(t *testing.T) {
	b := testBatch()
	c := testCommand("pay", move(3, 4, 10)...)
	c.Subjects = []uuid.UUID{uuid.New()}
	before := whole(b)
	if b.decide(c).err == nil {
		t.Error("a subject was brought to its end without an outcome")
	}
	if whole(b) != before {
		t.Error("a refused command changed the batch")
	}
}
