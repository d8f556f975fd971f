package wallet

import (
	"context"
	"errors"

	"github.com/google/uuid"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/server/statement"
	"github.com/tillbook/tillbook/store/ledger"
)

// maxExports is how many statements a user may be sent at once by this replica.
const maxExports = 2

// ExportStatement writes a statement of the caller's account of an asset.
func (s *Service) ExportStatement(ctx context.Context, req *walletv1.ExportStatementRequest, stream walletv1connect.WalletServiceExportStatementServerStream) error {
	user := rpc.PrincipalFrom(ctx).User
	leave, err := s.exports.enter(user)
	if err != nil {
		return err
	}
	defer leave()
	asset, err := money.Asset(ctx, s.ledger, req.GetAsset(), "asset")
	if err != nil {
		return err
	}
	err = statement.Export(ctx, statement.Source{
		Ledger:  s.ledger,
		Past:    s.past,
		Account: money.UserAccount(user, asset),
		Counterparties: func(ctx context.Context, entries []ledger.AccountEntry) ([]string, error) {
			return s.otherNames(ctx, user, entries)
		},
		Send: func(chunk []byte) error {
			return stream.Send(&walletv1.ExportStatementResponse{Chunk: chunk})
		},
	}, req)
	if errors.Is(err, ledger.ErrAccountNotFound) {
		return rpc.NewError(errorv1.ErrorReason_ERROR_REASON_NOT_FOUND, "You never had any of this asset.").WithCause(err)
	}
	return err
}

// otherNames names the other side of each of some entries as their owner may see
// it.
func (s *Service) otherNames(ctx context.Context, user uuid.UUID, entries []ledger.AccountEntry) ([]string, error) {
	sides, names, err := s.otherSides(ctx, user, entries)
	if err != nil {
		return nil, err
	}
	shown := make([]string, len(sides))
	for i := range sides {
		shown[i] = sides[i].message(names).GetMaskedName()
	}
	return shown, nil
}
