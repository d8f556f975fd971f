package wallet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// payment is a transfer request after everything in it was resolved: what the
// idempotency key stands for.
type payment struct {
	key   string
	payer uuid.UUID
	payee uuid.UUID
	value money.Value
	note  string

	// request is what the payment answers, and deadline until when; zero if
	// nobody asked for it.
	request  uuid.UUID
	deadline time.Time
}

// fingerprint is the same for requests that mean the same payment.
func (p *payment) fingerprint() [32]byte {
	if p.request != uuid.Nil {
		return ledger.Fingerprint("pay request", id.Format(id.Request, p.request))
	}
	return ledger.Fingerprint("transfer",
		id.Format(id.User, p.payee), p.value.Asset.Code, p.value.Amount.String(), p.note)
}

// pay executes a payment, or returns what executed it before.
func (s *Service) pay(ctx context.Context, p *payment) (ledger.Transaction, error) {
	cmd := ledger.Command{
		Key:         ledger.NewKey(money.UserScope(p.payer), p.key),
		Fingerprint: p.fingerprint(),
		Kind:        ledger.KindTransfer,
		Counted:     true,
		Deadline:    p.deadline,
	}
	if p.request != uuid.Nil {
		cmd.Subjects = []uuid.UUID{p.request}
	}
	from, to, err := s.accounts(ctx, p)
	switch {
	case errors.Is(err, ledger.ErrInsufficientFunds):
		// The committer has the last word all the same: the key may have been
		// used before, and that is then the answer.
		cmd.Decide = func(ledger.View) (ledger.Draft, error) { return ledger.Draft{}, ledger.ErrInsufficientFunds }
	case err != nil:
		return ledger.Transaction{}, err
	default:
		cmd.Accounts = []ledger.AccountID{from, to}
		cmd.Decide = p.decide(from, to)
	}
	result, err := s.ledger.Commit(ctx, cmd)
	return result.Transaction, s.explain(ctx, p.payer, err)
}

func (p *payment) decide(from, to ledger.AccountID) func(ledger.View) (ledger.Draft, error) {
	transfer := ledger.Transfer(from, to, p.value.Amount, p.note)
	if p.request == uuid.Nil {
		return transfer
	}
	return func(v ledger.View) (ledger.Draft, error) {
		d, err := transfer(v)
		d.Outcome = outcomePaid
		return d, err
	}
}

// explain says which limit stands in a payer's way if it is theirs. Of the other
// side's they learn no more than that there is one: what it would tell of what
// somebody else has or moves is not theirs to know.
func (s *Service) explain(ctx context.Context, payer uuid.UUID, err error) error {
	if errors.Is(err, ledger.ErrAccountClosed) {
		return errGone.WithCause(err)
	}
	limit, ok := errors.AsType[*ledger.LimitError](err)
	if !ok {
		return err
	}
	if owner, ok := money.OwnerOf(limit.Code); ok && owner == payer {
		return money.ExplainLimit(ctx, s.ledger, err)
	}
	return rpc.NewError(errorv1.ErrorReason_ERROR_REASON_RECIPIENT_LIMIT_EXCEEDED,
		"The recipient can't receive this amount now.").WithCause(err)
}

// errGone is for somebody who was erased and whom memory still knows.
var errGone = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_RECIPIENT_NOT_FOUND,
	"Nobody can be paid under this phone number, username or id.").
	WithField("recipient", "must be a user")

// accounts returns the accounts of payer and payee. The payee's is opened if
// need be, but not for a payer who couldn't pay anyway: then it fails with
// ErrInsufficientFunds.
func (s *Service) accounts(ctx context.Context, p *payment) (from, to ledger.AccountID, err error) {
	payerCode := money.UserAccount(p.payer, p.value.Asset)
	payeeCode := money.UserAccount(p.payee, p.value.Asset)
	from, _, err = s.ledger.LookupAccount(ctx, payerCode)
	if errors.Is(err, ledger.ErrAccountNotFound) {
		return 0, 0, fmt.Errorf("%w: the payer never had any", ledger.ErrInsufficientFunds)
	}
	if err != nil {
		return 0, 0, err
	}
	to, _, err = s.ledger.LookupAccount(ctx, payeeCode)
	if !errors.Is(err, ledger.ErrAccountNotFound) {
		return from, to, err
	}
	payer, err := s.ledger.Account(ctx, payerCode)
	if err != nil {
		return 0, 0, err
	}
	if payer.Available().Cmp(p.value.Amount) < 0 {
		return 0, 0, ledger.ErrInsufficientFunds
	}
	to, err = s.ledger.OpenAccount(ctx, ledger.AccountSpec{Code: payeeCode, Asset: p.value.Asset.ID})
	return from, to, err
}
