package tillbook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	statementv1 "github.com/tillbook/tillbook/gen/tillbook/statement/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
)

// The formats of statements.
const (
	// StatementCSV is for people and spreadsheets.
	StatementCSV = statementv1.StatementFormat_STATEMENT_FORMAT_CSV
	// StatementCAMT053 is ISO 20022 XML, for banks and accountants.
	StatementCAMT053 = statementv1.StatementFormat_STATEMENT_FORMAT_CAMT053
)

// ExportStatement writes a statement of the user's account of an asset to out, as
// it arrives: however long it is, little of it is in memory. What was written is a
// whole document only if there is no error; after one, begin again with a new out.
func (w *Wallet) ExportStatement(ctx context.Context, request *ExportStatementRequest, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // Tells the server if out fails.
	stream, err := w.rpc.ExportStatement(ctx, request)
	if err != nil {
		return err
	}
	defer stream.Close()
	return writeChunks(out, func() ([]byte, error) {
		response, err := stream.Receive()
		return response.GetChunk(), err
	})
}

// ExportStatement writes a statement of any account to out, as that of Wallet
// does.
func (l *Ledger) ExportStatement(ctx context.Context, request *ExportLedgerStatementRequest, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // Tells the server if out fails.
	stream, err := l.rpc.ExportStatement(ctx, request)
	if err != nil {
		return err
	}
	defer stream.Close()
	return writeChunks(out, func() ([]byte, error) {
		response, err := stream.Receive()
		return response.GetChunk(), err
	})
}

// writeChunks writes what next returns until io.EOF.
func writeChunks(out io.Writer, next func() ([]byte, error)) error {
	for {
		chunk, err := next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := out.Write(chunk); err != nil {
			return fmt.Errorf("tillbook: write the statement: %w", err)
		}
	}
}

// TrialBalanceAt sums the balances per asset and class of accounts as they were at
// a moment.
func (l *Ledger) TrialBalanceAt(ctx context.Context, at time.Time) ([]*TrialBalanceLine, error) {
	response, err := l.rpc.GetTrialBalance(ctx, &ledgerv1.GetTrialBalanceRequest{AsOfTime: timestamppb.New(at)})
	if err != nil {
		return nil, err
	}
	return response.GetLines(), nil
}

// BalancesAt returns the user's totals as they were at a moment; what was held or
// owed then isn't known.
func (w *Wallet) BalancesAt(ctx context.Context, at time.Time) ([]*Balance, error) {
	response, err := w.rpc.GetWallet(ctx, &walletv1.GetWalletRequest{AsOfTime: timestamppb.New(at)})
	if err != nil {
		return nil, err
	}
	return response.GetBalances(), nil
}
