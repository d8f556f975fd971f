package tillbook

import (
	"context"
	"errors"
	"iter"
)

// pages runs through a list from the page with the token start. fetch returns
// one page and the token of the next one, which is empty after the last.
func pages[T any](
	ctx context.Context,
	start string,
	fetch func(ctx context.Context, token string) ([]T, string, error),
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		for token := start; ; {
			page, next, err := fetch(ctx, token)
			if err != nil {
				yield(none, err)
				return
			}
			for _, item := range page {
				if !yield(item, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			if next == token {
				yield(none, errPageRepeats)
				return
			}
			token = next
		}
	}
}

var errPageRepeats = errors.New("tillbook: the server answered with the same page again")
