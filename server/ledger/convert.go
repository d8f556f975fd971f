package ledger

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	ledgerv1 "github.com/tillbook/tillbook/gen/tillbook/ledger/v1"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/store/id"
	books "github.com/tillbook/tillbook/store/ledger"
)

func assetMessage(a books.Asset) *ledgerv1.Asset {
	return &ledgerv1.Asset{Code: a.Code, Exponent: int32(a.Exponent), Network: a.Network}
}

func accountMessage(asset books.Asset, a *books.Account) *ledgerv1.Account {
	shown := pastAccountMessage(asset, a)
	shown.Held = money.Format(asset, a.Held)
	shown.Available = money.Format(asset, a.Available())
	if a.Floor != nil {
		shown.Floor = money.Format(asset, *a.Floor)
	}
	return shown
}

// pastAccountMessage leaves out what isn't known of a past moment.
func pastAccountMessage(asset books.Asset, a *books.Account) *ledgerv1.Account {
	return &ledgerv1.Account{
		Code:       a.Code,
		Balance:    money.Format(asset, a.Balance),
		Version:    a.Version,
		CreateTime: timestamppb.New(a.CreateTime),
	}
}

// transactionMessage leaves the entries, each of which needs its asset, to
// entryMessage.
func transactionMessage(t *books.Transaction) *ledgerv1.Transaction {
	return &ledgerv1.Transaction{
		TransactionId: id.Format(id.Transaction, t.ID),
		Kind:          t.Kind.String(),
		Note:          t.Note,
		CreateTime:    timestamppb.New(t.CreateTime),
	}
}

func entryMessage(asset books.Asset, t *books.Transaction, e *books.Entry) *ledgerv1.Entry {
	return &ledgerv1.Entry{
		Account:       e.Code,
		Version:       e.Version,
		TransactionId: id.Format(id.Transaction, t.ID),
		Amount:        money.Format(asset, e.Amount),
		BalanceAfter:  money.Format(asset, e.Balance),
		CreateTime:    timestamppb.New(t.CreateTime),
	}
}

func trialBalanceMessage(asset books.Asset, line books.TrialBalanceLine) *ledgerv1.TrialBalanceLine {
	return &ledgerv1.TrialBalanceLine{
		Asset:        asset.Code,
		AccountClass: line.Class,
		Accounts:     line.Accounts,
		Balance:      money.Format(asset, line.Balance),
	}
}

func reportMessage(r *books.Report) *ledgerv1.VerifyResponse {
	shown := &ledgerv1.VerifyResponse{
		Ok:           r.OK(),
		Accounts:     r.Accounts,
		Transactions: r.Transactions,
		Entries:      r.Entries,
	}
	for _, p := range r.Problems {
		shown.Problems = append(shown.GetProblems(), &ledgerv1.Problem{Rule: p.Rule, Subject: p.Subject, Detail: p.Detail})
	}
	return shown
}
