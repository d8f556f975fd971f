package wallet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// View shows a transaction as one of those who took part sees it. Where a
// transaction touched several accounts of theirs, the first counts.
//
// It is what other services use that answer with a wallet's transaction; the
// server hands it to them.
func (s *Service) View(ctx context.Context, user uuid.UUID, t *ledger.Transaction) (*walletv1.Transaction, error) {
	e, ok := entryOf(t, user)
	if !ok {
		return nil, errNotTheirs
	}
	shown, err := s.views(ctx, user, []ledger.AccountEntry{{Entry: e, Transaction: *t}})
	if err != nil {
		return nil, err
	}
	return shown[0], nil
}

// shown is View for who knows the other side and the asset already.
func (s *Service) shown(t *ledger.Transaction, user uuid.UUID, asset ledger.Asset, other *walletv1.Counterparty) (*walletv1.Transaction, error) {
	e, ok := entryOf(t, user)
	if !ok {
		return nil, errNotTheirs
	}
	return transactionMessage(t, e, asset, other), nil
}

// views shows entries of one user's accounts, with the names of the other sides
// loaded at once.
func (s *Service) views(ctx context.Context, user uuid.UUID, entries []ledger.AccountEntry) ([]*walletv1.Transaction, error) {
	sides, names, err := s.otherSides(ctx, user, entries)
	if err != nil {
		return nil, err
	}
	refunds, err := s.refundsOf(ctx, entries)
	if err != nil {
		return nil, err
	}
	list := make([]*walletv1.Transaction, len(entries))
	for i := range entries {
		asset, err := s.ledger.AssetByID(ctx, entries[i].Asset)
		if err != nil {
			return nil, fmt.Errorf("finding the asset of %s: %w", entries[i].Code, err)
		}
		list[i] = transactionMessage(&entries[i].Transaction, entries[i].Entry, asset, sides[i].message(names))
		showRefunds(list[i], asset, refunds[entries[i].Transaction.ID])
	}
	return list, nil
}

// otherSides finds the other side of each of some entries, and the names of the
// users and merchants among them.
func (s *Service) otherSides(ctx context.Context, user uuid.UUID, entries []ledger.AccountEntry) (sides []otherSide, named names, err error) {
	sides = make([]otherSide, len(entries))
	var others, merchants []uuid.UUID
	seen := make(map[uuid.UUID]bool)
	for i := range entries {
		sides[i] = otherSideOf(&entries[i].Transaction, user)
		if other := sides[i].user; other != uuid.Nil && !seen[other] {
			seen[other] = true
			others = append(others, other)
		}
		if merchant := sides[i].merchant; merchant != uuid.Nil && !seen[merchant] {
			seen[merchant] = true
			merchants = append(merchants, merchant)
		}
	}
	if named.users, err = s.payees.names(ctx, others); err != nil {
		return nil, named, err
	}
	named.merchants, err = s.merchantNames(ctx, merchants)
	return sides, named, err
}

func (s *Service) walletAt(ctx context.Context, user uuid.UUID, at *timestamppb.Timestamp) (*walletv1.GetWalletResponse, error) {
	moment, err := timeOf(at, "as_of_time")
	if err != nil {
		return nil, err
	}
	accounts, err := s.ledger.AccountsUnderAt(ctx, money.UserPrefix(user), moment)
	if err != nil {
		return nil, err
	}
	balances, err := s.balancesAt(ctx, accounts)
	if err != nil {
		return nil, err
	}
	return &walletv1.GetWalletResponse{Balances: balances}, nil
}

// balancesAt shows what a user's accounts had at a moment in the past, as far as
// that is known: their totals.
func (s *Service) balancesAt(ctx context.Context, accounts []ledger.Account) ([]*walletv1.Balance, error) {
	var list []*walletv1.Balance
	for i := range accounts {
		if accounts[i].Version == 0 {
			continue
		}
		asset, err := s.ledger.AssetByID(ctx, accounts[i].Asset)
		if err != nil {
			return nil, fmt.Errorf("finding the asset of %s: %w", accounts[i].Code, err)
		}
		list = append(list, &walletv1.Balance{Total: money.Format(asset, accounts[i].Balance)})
	}
	sortBalances(list)
	return list, nil
}

func sortBalances(list []*walletv1.Balance) {
	slices.SortFunc(list, func(a, b *walletv1.Balance) int {
		return cmp.Compare(a.GetTotal().GetAsset(), b.GetTotal().GetAsset())
	})
}

// balances shows a user's accounts that ever had an entry, ordered by asset, with
// what the user owes.
func (s *Service) balances(ctx context.Context, user uuid.UUID, accounts []ledger.Account) ([]*walletv1.Balance, error) {
	debts, err := s.ledger.AccountsUnder(ctx, ledger.ReceivableCode(id.Format(id.User, user), ""))
	if err != nil {
		return nil, err
	}
	var list []*walletv1.Balance
	for i := range accounts {
		if accounts[i].Version == 0 {
			continue
		}
		asset, err := s.ledger.AssetByID(ctx, accounts[i].Asset)
		if err != nil {
			return nil, fmt.Errorf("finding the asset of %s: %w", accounts[i].Code, err)
		}
		shown := balanceMessage(asset, &accounts[i])
		for j := range debts {
			if debts[j].Asset == asset.ID && debts[j].Balance.Sign() < 0 {
				shown.Owed = money.Format(asset, debts[j].Balance.Neg())
			}
		}
		list = append(list, shown)
	}
	sortBalances(list)
	return list, nil
}

// entryOf returns a user's first entry of a transaction.
func entryOf(t *ledger.Transaction, user uuid.UUID) (ledger.Entry, bool) {
	for _, e := range t.Entries {
		if owner, ok := money.OwnerOf(e.Code); ok && owner == user {
			return e, true
		}
	}
	return ledger.Entry{}, false
}

var errNotTheirs = errors.New("the user took no part in the transaction")
