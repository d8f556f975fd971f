package ledger

import (
	"context"
	"fmt"
)

// ExecutedPrefix returns how many of the numbered commands 1, 2, 3 … have been
// executed, given that they are executed in this order: with none before one that
// is not. key says what the key of a number is. It asks for a few keys, whose
// number grows with the logarithm of the result.
func (l *Ledger) ExecutedPrefix(ctx context.Context, key func(int64) Key) (int64, error) {
	executed := func(n int64) (found bool, err error) {
		err = l.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM transactions WHERE key_hash = $1)`, [16]byte(key(n))).Scan(&found)
		if err != nil {
			return false, fmt.Errorf("looking for a key: %w", err)
		}
		return found, nil
	}
	low, high := int64(0), int64(1) // low is executed, or 0
	for {
		found, err := executed(high)
		if err != nil {
			return 0, err
		}
		if !found {
			break
		}
		low, high = high, 2*high
	}
	for high-low > 1 { // high is not executed
		middle := low + (high-low)/2
		found, err := executed(middle)
		if err != nil {
			return 0, err
		}
		if found {
			low = middle
		} else {
			high = middle
		}
	}
	return low, nil
}
