package tillbook

import (
	"context"
	"errors"
	"iter"
	"strconv"

	"google.golang.org/protobuf/proto"

	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
)

const (
	// importChunk is how many items of an import one message carries at the most:
	// they are executed all or none.
	importChunk = 500
	// importBytes is about how large such a message becomes at the most. Servers
	// read four times that, and one item is less than a tenth of it.
	importBytes = 1 << 20
)

// Imported is how an import went.
type Imported struct {
	// Items is how many items the import has in all; if it failed, how many were
	// executed, as far as is known.
	Items int64
	// New is how many of them were executed during this call.
	New int64
}

// Import takes over transactions of another system, in the order of items, under an
// id that you choose. When it is interrupted, here or on the server, call it again
// with the same id and the same items: it goes on where it stopped, and nothing is
// imported twice. It does so by itself, as often as it gets any further and a few
// times where it doesn't; items is then read anew, so it must give the same items
// again.
//
// A refused item ends it. The error's metadata says by sequence which one it is,
// counted from 1; all before its message were executed.
func (l *Ledger) Import(ctx context.Context, importID string, items iter.Seq[*ImportItem]) (*Imported, error) {
	first, next := int64(0), int64(0)
	for n := 1; ; n++ {
		known, err := l.rpc.GetImport(ctx, &ledgerv1.GetImportRequest{ImportId: importID})
		if err != nil {
			return importedUntil(first, next), err // It was retried already.
		}
		if first == 0 {
			first = known.GetNextSequence()
		}
		if known.GetNextSequence() > next {
			next, n = known.GetNextSequence(), 1
		}
		total, err := l.importFrom(ctx, importID, items, next)
		if err == nil {
			return importedUntil(min(first, total+1), total+1), nil
		}
		failed := asError(err)
		if reached, err := strconv.ParseInt(failed.Metadata["next_sequence"], 10, 64); err == nil && reached > next {
			next, n = reached, 1
		}
		if n > l.client.retries || ctx.Err() != nil || !importMayGoOn(failed) || !pause(ctx, backoff(n, failed.RetryAfter, jitter())) {
			return importedUntil(first, next), failed
		}
	}
}

func importedUntil(first, next int64) *Imported {
	return &Imported{Items: max(0, next-1), New: next - first}
}

// importMayGoOn says whether asking how far it came and going on can help.
func importMayGoOn(err *Error) bool {
	switch err.Reason {
	case ReasonUnavailable, ReasonOutcomeUnknown, ReasonOverloaded, ReasonStreamMoved, ReasonImportSequenceInvalid:
		return true
	}
	return false
}

// importFrom sends the items from a number on, and returns how many there are in
// all.
func (l *Ledger) importFrom(ctx context.Context, importID string, items iter.Seq[*ImportItem], next int64) (int64, error) {
	stream, err := l.rpc.ImportTransactions(ctx)
	if err != nil {
		return 0, err
	}
	count, size := int64(0), 0
	message := &ledgerv1.ImportTransactionsRequest{ImportId: importID}
	flush := func() error {
		if len(message.GetItems()) == 0 {
			return nil
		}
		err := stream.Send(message)
		message, size = &ledgerv1.ImportTransactionsRequest{ImportId: importID}, 0
		return err
	}
	for item := range items {
		if count++; count < next {
			continue
		}
		if len(message.GetItems()) == 0 {
			message.FirstSequence = count
		}
		message.Items = append(message.GetItems(), item)
		if size += proto.Size(item); len(message.GetItems()) == importChunk || size >= importBytes {
			if flush() != nil {
				break // The answer says why.
			}
		}
	}
	_ = flush()
	response, err := stream.CloseAndReceive()
	if err != nil {
		return 0, err
	}
	if count >= next && response.GetNextSequence() <= count {
		return 0, localError(errors.New("the server's answer doesn't fit what was sent"))
	}
	return count, nil
}
