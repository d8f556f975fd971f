package tillbook

import (
	"context"
	"errors"
	"iter"

	"google.golang.org/protobuf/proto"

	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
)

// PostAll posts up to 1,000 transactions, all of them or none. Those without an
// idempotency key get one each, which are kept across the automatic retries.
func (l *Ledger) PostAll(ctx context.Context, items []*PostTransactionRequest) ([]*LedgerTransaction, error) {
	results, err := l.post(ctx, ledgerv1.PostMode_POST_MODE_ATOMIC, items)
	if err != nil {
		return nil, err
	}
	transactions := make([]*LedgerTransaction, len(results))
	for i, r := range results {
		transactions[i] = r.GetTransaction()
	}
	return transactions, nil
}

// PostEach posts up to 1,000 transactions, each on its own, and returns a result
// for each: a transaction or a failure.
func (l *Ledger) PostEach(ctx context.Context, items []*PostTransactionRequest) ([]*PostResult, error) {
	return l.post(ctx, ledgerv1.PostMode_POST_MODE_INDEPENDENT, items)
}

func (l *Ledger) post(ctx context.Context, mode ledgerv1.PostMode, items []*PostTransactionRequest) ([]*PostResult, error) {
	request := &ledgerv1.PostTransactionsRequest{Mode: mode, Items: make([]*PostTransactionRequest, len(items))}
	for i, item := range items {
		if request.Items[i] = item; item.GetIdempotencyKey() == "" {
			request.Items[i] = proto.CloneOf(item)
			request.Items[i].IdempotencyKey = NewIdempotencyKey()
		}
	}
	response, err := l.rpc.PostTransactions(ctx, request)
	return response.GetResults(), err
}

// importChunk is how many items of an import one message carries: they are
// executed all or none.
const importChunk = 500

// Imported is how an import went.
type Imported struct {
	// Items is how many items the import has in all.
	Items int64
	// New is how many of them were executed by this call.
	New int64
}

// Import takes over transactions of another system, in the order of items, under an
// id that you choose. When it is interrupted, here or on the server, call it again
// with the same id and the same items: it goes on where it stopped, and nothing is
// imported twice. It does so by itself a few times; items is then read anew, so it
// must give the same items again.
func (l *Ledger) Import(ctx context.Context, importID string, items iter.Seq[*ImportItem]) (*Imported, error) {
	done := &Imported{}
	for n := 1; ; n++ {
		err := l.importOnce(ctx, importID, items, done)
		failed, ok := errors.AsType[*Error](err)
		if err == nil || !ok || n > l.client.retries || ctx.Err() != nil || !importMayGoOn(failed) {
			return done, err
		}
		if !pause(ctx, backoff(n, failed.RetryAfter, jitter())) {
			return done, err
		}
	}
}

// importMayGoOn says whether asking how far it came and going on can help.
func importMayGoOn(err *Error) bool {
	return err.Reason == ReasonUnavailable || err.Reason == ReasonOutcomeUnknown || err.Reason == ReasonOverloaded ||
		err.Reason == ReasonStreamMoved || err.Reason == ReasonImportSequenceInvalid
}

func (l *Ledger) importOnce(ctx context.Context, importID string, items iter.Seq[*ImportItem], done *Imported) error {
	known, err := l.rpc.GetImport(ctx, &ledgerv1.GetImportRequest{ImportId: importID})
	if err != nil {
		return err
	}
	stream, err := l.rpc.ImportTransactions(ctx)
	if err != nil {
		return err
	}
	sequence, sent := int64(0), false
	message := &ledgerv1.ImportTransactionsRequest{ImportId: importID}
	flush := func() error {
		if len(message.GetItems()) == 0 {
			return nil
		}
		sent = true
		err := stream.Send(message)
		message = &ledgerv1.ImportTransactionsRequest{ImportId: importID}
		return err
	}
	for item := range items {
		if sequence++; sequence < known.GetNextSequence() {
			continue
		}
		if len(message.GetItems()) == 0 {
			message.FirstSequence = sequence
		}
		if message.Items = append(message.GetItems(), item); len(message.GetItems()) == importChunk {
			if flush() != nil {
				break // The answer says why.
			}
		}
	}
	_ = flush()
	response, err := stream.CloseAndReceive()
	if err != nil {
		return err
	}
	done.New += response.GetImported()
	if done.Items = sequence; sent && response.GetNextSequence() != sequence+1 {
		return localError(errors.New("the server's answer doesn't fit what was sent"))
	}
	return nil
}
