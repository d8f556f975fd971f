package ledger

import (
	"context"
	"errors"
	"strconv"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	"github.com/tillbook/tillbook/server/rpc"
	books "github.com/tillbook/tillbook/store/ledger"
)

// PostTransactions posts many transactions.
func (s *Service) PostTransactions(ctx context.Context, req *ledgerv1.PostTransactionsRequest) (*ledgerv1.PostTransactionsResponse, error) {
	if req.GetMode() == ledgerv1.PostMode_POST_MODE_ATOMIC {
		return s.postAll(ctx, req.GetItems())
	}
	return s.postEach(ctx, req.GetItems())
}

func (s *Service) postAll(ctx context.Context, items []*ledgerv1.PostTransactionRequest) (*ledgerv1.PostTransactionsResponse, error) {
	commands := make([]books.Command, len(items))
	for i, item := range items {
		var err error
		if commands[i], err = s.prepare(ctx, item, itemPath(i)); err != nil {
			return nil, ofItem(err, i)
		}
	}
	results, err := s.books.CommitAll(ctx, commands)
	if failed, ok := errors.AsType[*books.ItemError](err); ok {
		return nil, ofItem(failed.Err, failed.Index)
	}
	if err != nil {
		return nil, err
	}
	res := &ledgerv1.PostTransactionsResponse{Results: make([]*ledgerv1.PostResult, len(results))}
	for i := range results {
		shown, err := s.transaction(ctx, &results[i].Transaction)
		if err != nil {
			return nil, rpc.AsError(err).WithOutcome(errorv1.Outcome_OUTCOME_EXECUTED)
		}
		res.Results[i] = posted(shown)
	}
	return res, nil
}

// postEach leaves out items that can't be read and commits the others.
func (s *Service) postEach(ctx context.Context, items []*ledgerv1.PostTransactionRequest) (*ledgerv1.PostTransactionsResponse, error) {
	res := &ledgerv1.PostTransactionsResponse{Results: make([]*ledgerv1.PostResult, len(items))}
	commands := make([]books.Command, 0, len(items))
	places := make([]int, 0, len(items))
	for i, item := range items {
		command, err := s.prepare(ctx, item, itemPath(i))
		if err != nil {
			res.Results[i] = refused(err)
			continue
		}
		commands, places = append(commands, command), append(places, i)
	}
	for n, answer := range s.books.CommitEach(ctx, commands) {
		i := places[n]
		if answer.Err != nil {
			res.Results[i] = refused(answer.Err)
			continue
		}
		shown, err := s.transaction(ctx, &answer.Result.Transaction)
		if err != nil {
			res.Results[i] = refused(rpc.AsError(err).WithOutcome(errorv1.Outcome_OUTCOME_EXECUTED))
			continue
		}
		res.Results[i] = posted(shown)
	}
	return res, nil
}

func itemPath(i int) string { return "items[" + strconv.Itoa(i) + "]." }

// ofItem says which item an error is about.
func ofItem(err error, i int) error {
	e := rpc.AsError(err).WithMetadata("item_index", strconv.Itoa(i))
	if len(e.Fields()) == 0 && e.Reason() != errorv1.ErrorReason_ERROR_REASON_INTERNAL {
		e = e.WithField("items["+strconv.Itoa(i)+"]", e.Message())
	}
	return e
}

func posted(t *ledgerv1.Transaction) *ledgerv1.PostResult {
	return &ledgerv1.PostResult{Result: &ledgerv1.PostResult_Transaction{Transaction: t}}
}

func refused(err error) *ledgerv1.PostResult {
	e := rpc.AsError(err)
	failure := &ledgerv1.PostFailure{Reason: rpc.ReasonName(e.Reason()), Message: e.Message(), Outcome: e.Outcome()}
	if fields := e.Fields(); len(fields) > 0 {
		failure.Field = fields[0].Path
	}
	return &ledgerv1.PostResult{Result: &ledgerv1.PostResult_Failure{Failure: failure}}
}
