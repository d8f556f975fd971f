package wallet

import (
	"context"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/gen/tillbook/wallet/v1/walletv1connect"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/ledger"
)

// historyKind binds a page token to the caller and the filters. The page's size
// may change from page to page.
func historyKind(user uuid.UUID, req *walletv1.ListTransactionsRequest) string {
	return rpc.PageKind(walletv1connect.WalletServiceListTransactionsProcedure, user.String(),
		req.GetAsset(), req.GetKind().String(), timeKey(req.GetStartTime()), timeKey(req.GetEndTime()))
}

func timeKey(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().Format(time.RFC3339Nano)
}

// historyQuery reads a request; it has no accounts if there can't be anything.
func (s *Service) historyQuery(ctx context.Context, user uuid.UUID, req *walletv1.ListTransactionsRequest) (ledger.HistoryQuery, error) {
	q := ledger.HistoryQuery{Kind: kindOf(req.GetKind()), Limit: rpc.PageSize(req.GetPageSize())}
	var err error
	if q.Start, err = timeOf(req.GetStartTime(), "start_time"); err != nil {
		return q, err
	}
	if q.End, err = timeOf(req.GetEndTime(), "end_time"); err != nil {
		return q, err
	}
	if token := req.GetPageToken(); token != "" {
		q.Before = new(ledger.Position)
		if err := rpc.DecodePageToken(historyKind(user, req), token, q.Before); err != nil {
			return q, err
		}
	}
	var asset ledger.Asset
	if code := req.GetAsset(); code != "" {
		if asset, err = money.Asset(ctx, s.ledger, code, "asset"); err != nil {
			return q, err
		}
	}
	accounts, err := s.ledger.AccountsUnder(ctx, money.UserPrefix(user))
	if err != nil {
		return q, err
	}
	for i := range accounts {
		if a := &accounts[i]; a.Version > 0 && (asset.Code == "" || a.Asset == asset.ID) {
			q.Accounts = append(q.Accounts, a.ID)
		}
	}
	return q, nil
}

// timeOf reads a bound in time; the zero time stands for none.
func timeOf(t *timestamppb.Timestamp, path string) (time.Time, error) {
	if t == nil {
		return time.Time{}, nil
	}
	if err := t.CheckValid(); err != nil {
		return time.Time{}, rpc.NewError(errorv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "The time is not valid.").
			WithField(path, "must be a time between the years 1 and 9999").WithCause(err)
	}
	return t.AsTime(), nil
}
