package ledger

import (
	"context"
	"errors"
	"io"
	"strconv"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	"github.com/tillbook/tillbook/gen/tillbook/ledger/v1/ledgerv1connect"
	"github.com/tillbook/tillbook/server/rpc"
	books "github.com/tillbook/tillbook/store/ledger"
)

// ImportTransactions takes over transactions of another system. What was
// executed of an import is always its beginning: a message is executed whole, and
// only after the one before it. That is all that has to be known to go on.
func (s *Service) ImportTransactions(ctx context.Context, stream ledgerv1connect.LedgerServiceImportTransactionsServerStream) (*ledgerv1.ImportTransactionsResponse, error) {
	res := &ledgerv1.ImportTransactionsResponse{}
	var run *importRun
	for {
		message, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			return res, nil
		}
		if err != nil {
			return nil, run.reached(err)
		}
		if run == nil {
			if run, err = s.beginImport(ctx, message.GetImportId()); err != nil {
				return nil, err
			}
		}
		if err := run.take(ctx, message, res); err != nil {
			return nil, run.reached(err)
		}
		res.NextSequence = run.next
	}
}

// GetImport tells how far an import has come.
func (s *Service) GetImport(ctx context.Context, req *ledgerv1.GetImportRequest) (*ledgerv1.GetImportResponse, error) {
	run, err := s.beginImport(ctx, req.GetImportId())
	if err != nil {
		return nil, err
	}
	return &ledgerv1.GetImportResponse{NextSequence: run.next}, nil
}

// importRun is an import under way.
type importRun struct {
	service *Service
	id      string
	next    int64 // the first sequence number that isn't executed
}

func (s *Service) beginImport(ctx context.Context, importID string) (*importRun, error) {
	run := &importRun{service: s, id: importID}
	executed, err := s.books.ExecutedPrefix(ctx, run.key)
	run.next = executed + 1
	return run, err
}

// reached adds to an error how far the import has come.
func (r *importRun) reached(err error) error {
	if r == nil {
		return err
	}
	return rpc.AsError(err).WithMetadata("next_sequence", strconv.FormatInt(r.next, 10))
}

// key is that of an item. It doesn't depend on who imports: another operator may
// go on with what one has begun.
func (r *importRun) key(sequence int64) books.Key {
	return books.NewKey("import/"+r.id, strconv.FormatInt(sequence, 10))
}

// take executes the items of a message.
func (r *importRun) take(ctx context.Context, message *ledgerv1.ImportTransactionsRequest, res *ledgerv1.ImportTransactionsResponse) error {
	first := message.GetFirstSequence()
	if message.GetImportId() != r.id {
		return rpc.NewError(errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "A stream is for one import.").
			WithField("import_id", "must be the same in all messages")
	}
	if first > r.next {
		// Somebody else may have gone on with it.
		if _, err := r.catchUp(ctx); err != nil {
			return err
		}
	}
	if first > r.next {
		return rpc.NewError(errorv1.ErrorReason_ERROR_REASON_IMPORT_SEQUENCE_INVALID,
			"The next item has number %d, not %d.", r.next, first).
			WithField("first_sequence", "must follow the items before")
	}
	commands := make([]books.Command, len(message.GetItems()))
	for i, item := range message.GetItems() {
		var err error
		if commands[i], err = r.service.prepareImport(ctx, item, itemPath(i)); err != nil {
			return r.failed(err, first, i)
		}
		commands[i].Key = r.key(first + int64(i))
	}
	for {
		imported, err := r.commit(ctx, first, commands)
		if err == nil {
			res.Imported += int64(imported)
			res.Skipped += int64(len(commands) - imported)
			r.next = max(r.next, first+int64(len(commands)))
			return nil
		}
		item, ofOne := errors.AsType[*books.ItemError](err)
		if !ofOne {
			return err
		}
		if errors.Is(err, books.ErrKeyReused) {
			// Somebody else may be executing the same import at the same time.
			more, err := r.catchUp(ctx)
			if err != nil {
				return err
			}
			if more {
				continue
			}
		}
		return r.failed(item.Err, first, item.Index)
	}
}

// catchUp finds how far the import has come meanwhile, and tells whether that is
// further than was known.
func (r *importRun) catchUp(ctx context.Context) (more bool, err error) {
	now, err := r.service.beginImport(ctx, r.id)
	if err != nil || now.next <= r.next {
		return false, err
	}
	r.next = now.next
	return true, nil
}

// commit executes commands, of which those before the import's next number must
// have been executed before. It returns how many are new. An ItemError that it
// fails with counts from the first command.
func (r *importRun) commit(ctx context.Context, first int64, commands []books.Command) (imported int, err error) {
	known := int(min(r.next-first, int64(len(commands))))
	if _, err := r.service.books.CommitAll(ctx, commands[:known]); err != nil {
		return 0, err
	}
	results, err := r.service.books.CommitAll(ctx, commands[known:])
	if item, ok := errors.AsType[*books.ItemError](err); ok {
		return 0, &books.ItemError{Index: known + item.Index, Err: item.Err}
	}
	for i := range results {
		if !results[i].Replayed {
			imported++
		}
	}
	return imported, err
}

func (r *importRun) failed(err error, first int64, i int) error {
	return rpc.AsError(ofItem(err, i)).WithMetadata("sequence", strconv.FormatInt(first+int64(i), 10))
}

func (s *Service) prepareImport(ctx context.Context, item *ledgerv1.ImportItem, prefix string) (books.Command, error) {
	if err := item.GetTime().CheckValid(); err != nil {
		return books.Command{}, rpc.NewError(errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "The time is not valid.").
			WithField(prefix+"time", "must be a time between the years 1 and 9999").WithCause(err)
	}
	postings, err := s.read(ctx, item.GetPostings(), prefix+"postings")
	if err != nil {
		return books.Command{}, err
	}
	at := item.GetTime().AsTime()
	parts := []string{"import", at.String(), item.GetNote()}
	for _, p := range postings {
		parts = append(parts, p.code, p.value.Asset.Code, p.value.Amount.String())
	}
	cmd := books.Command{Kind: books.KindImport, Time: at, Fingerprint: books.Fingerprint(parts...)}
	post(&cmd, postings, books.Draft{Note: item.GetNote()})
	return cmd, nil
}
