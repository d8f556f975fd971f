package seal

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Commits as they can be: each depends on some that committed before it won its locks,
// and so has a higher event; its transaction number may be lower.
func TestWhatIsSealedNeverComesBeforeWhatItDependsOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "commits")
		numbers := rapid.Permutation(func() (all []int64) {
			for i := range n {
				all = append(all, int64(i)+1)
			}
			return all
		}()).Draw(t, "numbers")
		open := rapid.Int64Range(1, int64(n)+1).Draw(t, "horizon")
		var list []unsealed
		for event, number := range numbers {
			list = append(list, unsealed{batch: batch{xid: number, eventID: int64(event) + 1}, final: number < open})
		}
		slices.SortFunc(list, func(a, b unsealed) int { return int(a.xid - b.xid) })
		most := rapid.IntRange(1, 50).Draw(t, "most")
		chosen := choose(list, most, false)
		if len(chosen) > most {
			t.Fatal("more than wanted")
		}
		for i, c := range chosen {
			if c.eventID != int64(i)+1 || c.xid >= open {
				t.Fatal("something is left out, or not final")
			}
		}
		if next := len(chosen); next < n && next < most && numbers[next] < open {
			t.Fatal("something final is left for no reason")
		}
	})
}
