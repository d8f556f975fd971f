package merchant

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/google/uuid"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	merchantv1 "github.com/tillbook/tillbook/gen/tillbook/merchant/v1"
	moneyv1 "github.com/tillbook/tillbook/gen/tillbook/money/v1"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// money writes an amount that the database gave as an integer of the asset's smallest
// unit.
func (s *Service) money(ctx context.Context, asset int16, units string) (*moneyv1.Money, error) {
	of, err := s.ledger.AssetByID(ctx, ledger.AssetID(asset))
	if err != nil {
		return nil, err
	}
	amount, err := ledger.ParseDecimal(units, 0)
	if err != nil {
		return nil, err
	}
	return money.Format(of, amount), nil
}

// balances shows what a merchant has of each asset, ordered by the assets' codes.
func (s *Service) balances(ctx context.Context, merchant uuid.UUID) ([]*merchantv1.MerchantBalance, error) {
	accounts, err := s.ledger.AccountsUnder(ctx, money.MerchantScope(merchant)+"/")
	if err != nil {
		return nil, err
	}
	byAsset := make(map[string]*merchantv1.MerchantBalance)
	for i := range accounts {
		a := &accounts[i]
		asset, err := s.ledger.AssetByID(ctx, a.Asset)
		if err != nil {
			return nil, err
		}
		balance := byAsset[asset.Code]
		if balance == nil {
			balance = noBalance(asset)
			byAsset[asset.Code] = balance
		}
		switch a.Code {
		case money.MerchantAvailable(merchant, asset):
			balance.Available = money.Format(asset, a.Available())
		case money.MerchantPending(merchant, asset):
			balance.Pending = money.Format(asset, a.Available())
		}
	}
	list := make([]*merchantv1.MerchantBalance, 0, len(byAsset))
	for _, balance := range byAsset {
		list = append(list, balance)
	}
	slices.SortFunc(list, func(a, b *merchantv1.MerchantBalance) int {
		return strings.Compare(a.GetAvailable().GetAsset(), b.GetAvailable().GetAsset())
	})
	return list, nil
}

func noBalance(asset ledger.Asset) *merchantv1.MerchantBalance {
	return &merchantv1.MerchantBalance{Available: money.Format(asset, ledger.Amount{}), Pending: money.Format(asset, ledger.Amount{})}
}

// withdraw takes available money to the wallet of the merchant's owner, once for a
// key.
func (s *Service) withdraw(ctx context.Context, m member, req *merchantv1.WithdrawFundsRequest) (*merchantv1.WithdrawFundsResponse, error) {
	value, err := money.ParsePositive(ctx, s.ledger, req.GetAmount(), "amount")
	if err != nil {
		return nil, err
	}
	cmd := ledger.Command{
		Key:         ledger.NewKey(money.UserScope(m.user), req.GetIdempotencyKey()),
		Fingerprint: ledger.Fingerprint("withdraw", req.GetMerchantId(), value.Asset.Code, value.Amount.String()),
		Kind:        ledger.KindSettlement,
		Counted:     true,
	}
	from, _, err := s.ledger.LookupAccount(ctx, money.MerchantAvailable(m.merchant, value.Asset))
	switch {
	case errors.Is(err, ledger.ErrAccountNotFound):
		// The committer has the last word all the same: the key may have been used.
		cmd.Decide = func(ledger.View) (ledger.Draft, error) { return ledger.Draft{}, ledger.ErrInsufficientFunds }
	case err != nil:
		return nil, err
	default:
		to, err := s.ledger.OpenAccount(ctx, ledger.AccountSpec{Code: money.UserAccount(m.user, value.Asset), Asset: value.Asset.ID})
		if err != nil {
			return nil, err
		}
		cmd.Accounts = []ledger.AccountID{from, to}
		cmd.Decide = ledger.Transfer(from, to, value.Amount, "")
	}
	result, err := s.ledger.Commit(ctx, cmd)
	if err != nil {
		return nil, s.explainLimit(ctx, err)
	}
	res := &merchantv1.WithdrawFundsResponse{TransactionId: id.Format(id.Transaction, result.Transaction.ID)}
	if res.Balance, err = s.balance(ctx, m.merchant, value.Asset); err != nil {
		return nil, rpc.AsError(err).WithOutcome(errorv1.Outcome_OUTCOME_EXECUTED)
	}
	return res, nil
}

// balance shows what a merchant has of one asset.
func (s *Service) balance(ctx context.Context, merchant uuid.UUID, asset ledger.Asset) (*merchantv1.MerchantBalance, error) {
	shown := noBalance(asset)
	for code, place := range map[string]**moneyv1.Money{
		money.MerchantAvailable(merchant, asset): &shown.Available,
		money.MerchantPending(merchant, asset):   &shown.Pending,
	} {
		a, err := s.ledger.Account(ctx, code)
		if errors.Is(err, ledger.ErrAccountNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		*place = money.Format(asset, a.Available())
	}
	return shown, nil
}

// explainLimit says which limit of the merchant's stands in the way, or that one of
// the wallet does.
func (s *Service) explainLimit(ctx context.Context, err error) error {
	limit, ok := errors.AsType[*ledger.LimitError](err)
	if !ok {
		return err
	}
	if money.Class(limit.Code) == money.ClassMerchant {
		return money.ExplainLimit(ctx, s.ledger, err)
	}
	return rpc.NewError(errorv1.ErrorReason_ERROR_REASON_RECIPIENT_LIMIT_EXCEEDED,
		"Your wallet can't take this amount now.").WithCause(err)
}
