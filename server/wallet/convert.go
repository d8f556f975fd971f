package wallet

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	walletv1 "github.com/tillbook/tillbook/gen/tillbook/wallet/v1"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// kinds maps the ledger's kinds of transactions to those of the API.
var kinds = map[ledger.Kind]walletv1.TransactionKind{
	ledger.KindTransfer:   walletv1.TransactionKind_TRANSACTION_KIND_TRANSFER,
	ledger.KindFunding:    walletv1.TransactionKind_TRANSACTION_KIND_FUNDING,
	ledger.KindAdjustment: walletv1.TransactionKind_TRANSACTION_KIND_ADJUSTMENT,
	ledger.KindCapture:    walletv1.TransactionKind_TRANSACTION_KIND_CAPTURE,
	ledger.KindRefund:     walletv1.TransactionKind_TRANSACTION_KIND_REFUND,
	ledger.KindReversal:   walletv1.TransactionKind_TRANSACTION_KIND_REVERSAL,
	ledger.KindRepayment:  walletv1.TransactionKind_TRANSACTION_KIND_REPAYMENT,
	ledger.KindImport:     walletv1.TransactionKind_TRANSACTION_KIND_IMPORT,
	ledger.KindPurchase:   walletv1.TransactionKind_TRANSACTION_KIND_PURCHASE,
	ledger.KindSettlement: walletv1.TransactionKind_TRANSACTION_KIND_SETTLEMENT,
}

// kindOf is the inverse of kinds; zero for TRANSACTION_KIND_UNSPECIFIED.
func kindOf(kind walletv1.TransactionKind) ledger.Kind {
	for k, v := range kinds {
		if v == kind {
			return k
		}
	}
	return 0
}

// transactionMessage shows one entry of a transaction to whom it belongs.
func transactionMessage(t *ledger.Transaction, e ledger.Entry, asset ledger.Asset, other *walletv1.Counterparty) *walletv1.Transaction {
	return &walletv1.Transaction{
		TransactionId: id.Format(id.Transaction, t.ID),
		Kind:          kinds[t.Kind],
		Amount:        money.Format(asset, e.Amount),
		BalanceAfter:  money.Format(asset, e.Balance),
		Counterparty:  other,
		Note:          t.Note,
		CreateTime:    timestamppb.New(t.CreateTime),
	}
}

func balanceMessage(asset ledger.Asset, a *ledger.Account) *walletv1.Balance {
	return &walletv1.Balance{
		Available: money.Format(asset, a.Available()),
		Held:      money.Format(asset, a.Held),
		Total:     money.Format(asset, a.Balance),
	}
}

func counterpartyMessage(p payee) *walletv1.Counterparty {
	return &walletv1.Counterparty{UserId: id.Format(id.User, p.id), MaskedName: p.name}
}
