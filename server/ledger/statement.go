package ledger

import (
	"context"
	"fmt"

	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	"github.com/tillbook/tillbook/gen/tillbook/ledger/v1/ledgerv1connect"
	"github.com/tillbook/tillbook/server/statement"
	books "github.com/tillbook/tillbook/store/ledger"
)

// ExportStatement writes a statement of any account.
func (s *Service) ExportStatement(ctx context.Context, req *ledgerv1.ExportStatementRequest, stream ledgerv1connect.LedgerServiceExportStatementServerStream) error {
	return statement.Export(ctx, statement.Source{
		Ledger:         s.books,
		Past:           s.past,
		Account:        req.GetAccount(),
		Counterparties: otherCodes,
		Send: func(chunk []byte) error {
			return stream.Send(&ledgerv1.ExportStatementResponse{Chunk: chunk})
		},
	}, req)
}

// otherCodes names the other account of each transaction by its code, or says how
// many there are.
func otherCodes(_ context.Context, entries []books.AccountEntry) ([]string, error) {
	names := make([]string, len(entries))
	for i := range entries {
		e := &entries[i]
		others := 0
		for _, other := range e.Transaction.Entries {
			if other.Account != e.Account {
				others, names[i] = others+1, other.Code
			}
		}
		if others > 1 {
			names[i] = fmt.Sprintf("%d accounts", others)
		}
	}
	return names, nil
}
