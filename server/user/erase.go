package user

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorv1 "github.com/tillbook/tillbook/gen/tillbook/error/v1"
	"github.com/tillbook/tillbook/server/money"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/audit"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
)

// chunk bounds how many rows are looked at and erased at a time.
const chunk = 500

var errHasFunds = rpc.NewError(errorv1.ErrorReason_ERROR_REASON_USER_HAS_FUNDS,
	"The user, or a merchant of theirs, still has money, holds or debts. Bring them to zero first.")

// end closes a user's accounts, which must be empty, and deletes what names the
// user. It fails with pgx.ErrNoRows if there is no such user, or not any more.
func (s *Service) end(ctx context.Context, user uuid.UUID, reason string) error {
	return s.store.InTx(ctx, func(ctx context.Context, q *store.Queries, tx pgx.Tx) error {
		found, err := q.LockUserForErasure(ctx, user)
		if err != nil {
			return err
		}
		// Closing comes first: it also keeps accounts from being opened.
		if _, err := ledger.SetTier(ctx, tx, money.UserScope(user), ledger.TierClosed); err != nil {
			return err
		}
		accounts, err := q.LockAccountsOfOwner(ctx, store.LockAccountsOfOwnerParams{
			Own: money.UserPrefix(user), Owed: ledger.ReceivableCode(id.Format(id.User, user), ""),
		})
		if err != nil {
			return err
		}
		ids := make([]int64, len(accounts))
		for i, a := range accounts {
			if ids[i] = a.ID; !a.Empty {
				return errHasFunds
			}
		}
		if err := s.closeMerchants(ctx, q, tx, user); err != nil {
			return err
		}
		if err := s.forget(ctx, q, found, ids); err != nil {
			return err
		}
		return s.record(ctx, tx, "user.erased", user, map[string]any{"reason": reason})
	})
}

// closeMerchants closes the accounts of a user's merchants, which must be empty.
func (s *Service) closeMerchants(ctx context.Context, q *store.Queries, tx pgx.Tx, user uuid.UUID) error {
	merchants, err := q.ListMerchantsOwned(ctx, user)
	if err != nil {
		return fmt.Errorf("listing a user's merchants: %w", err)
	}
	for _, m := range merchants {
		if _, err := ledger.SetTier(ctx, tx, money.MerchantScope(m), ledger.TierClosed); err != nil {
			return err
		}
		accounts, err := q.LockAccountsOfOwner(ctx, store.LockAccountsOfOwnerParams{
			Own: money.MerchantScope(m) + "/", Owed: ledger.ReceivableCode(id.Format(id.Merchant, m), ""),
		})
		if err != nil {
			return err
		}
		for _, a := range accounts {
			if !a.Empty {
				return errHasFunds
			}
		}
	}
	return nil
}

// forget deletes rows about a user.
func (s *Service) forget(ctx context.Context, q *store.Queries, user store.LockUserForErasureRow, accounts []int64) error {
	// The replicas learn that the sessions have ended before these are gone.
	_, err := q.EndSessionsOfUser(ctx, store.EndSessionsOfUserParams{
		Now: s.now(), Reason: "erased", UserID: user.ID, KeptID: uuid.Nil,
	})
	steps := []func() error{
		func() error { return err },
		func() error { return q.DeleteSessionsOfUser(ctx, user.ID) },
		func() error {
			return q.DeleteChallengesOfPhone(ctx, store.DeleteChallengesOfPhoneParams{UserID: user.ID, PhoneNumber: user.PhoneNumber})
		},
		func() error { return q.DeleteDevicesOfUser(ctx, user.ID) },
		func() error { return q.DeleteMessagesOfPhone(ctx, user.PhoneNumber) },
		func() error { return q.ErasePaymentRequestNotes(ctx, user.ID) },
		func() error { return q.DeleteStaffOfUser(ctx, user.ID) },
		func() error { return q.DeleteInvitationsOfPhone(ctx, user.PhoneNumber) },
		func() error { return q.EraseHoldReferences(ctx, accounts) },
		func() error { return q.DeletePaymentCode(ctx, user.ID) },
		func() error { return q.DeleteUser(ctx, user.ID) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("erasing a user: %w", err)
		}
	}
	return nil
}

// wasErased tells whether a user that isn't there was erased before.
func (s *Service) wasErased(ctx context.Context, user uuid.UUID) error {
	tier, err := s.books.Tier(ctx, money.UserScope(user))
	if err == nil && tier != ledger.TierClosed {
		return errNotFound
	}
	return err
}

// eraseTexts erases the texts of all transactions that the user took part in, and
// what the audit records by or about them say beyond who did what.
func (s *Service) eraseTexts(ctx context.Context, user uuid.UUID) (erased int64, err error) {
	for _, prefix := range []string{money.UserPrefix(user), ledger.ReceivableCode(id.Format(id.User, user), "")} {
		accounts, err := s.books.AccountsUnder(ctx, prefix)
		if err != nil {
			return erased, err
		}
		for i := range accounts {
			n, err := s.eraseAccount(ctx, int64(accounts[i].ID))
			if err != nil {
				return erased, err
			}
			erased += n
		}
	}
	return erased, s.eraseRecords(ctx, user)
}

func (s *Service) eraseAccount(ctx context.Context, account int64) (erased int64, err error) {
	q := s.store.Queries()
	for after := int64(0); ; {
		rows, err := q.ListTextsOfAccount(ctx, store.ListTextsOfAccountParams{AccountID: account, After: after, MaxRows: chunk})
		if err != nil || len(rows) == 0 {
			return erased, err
		}
		after = rows[len(rows)-1].Version
		var erase store.EraseTransactionTextsParams
		for i := range rows {
			if !rows[i].HasText {
				continue
			}
			commitment, err := commitmentOf(&rows[i])
			if err != nil {
				return erased, err
			}
			erase.Ids, erase.Commitments = append(erase.Ids, rows[i].ID), append(erase.Commitments, commitment)
		}
		n, err := q.EraseTransactionTexts(ctx, erase)
		if err != nil {
			return erased, fmt.Errorf("erasing texts: %w", err)
		}
		erased += n
	}
}

func commitmentOf(row *store.ListTextsOfAccountRow) ([]byte, error) {
	if row.Salt == nil || len(row.Fingerprint) != 32 {
		return nil, errors.New("a text has no salt")
	}
	opening := ledger.Opening{
		Salt: *row.Salt, Fingerprint: [32]byte(row.Fingerprint), Note: row.Note, Details: row.Details,
	}
	return opening.Commit()
}

func (s *Service) eraseRecords(ctx context.Context, user uuid.UUID) error {
	q := s.store.Queries()
	for {
		rows, err := q.ListAuditDetails(ctx, store.ListAuditDetailsParams{UserID: user, Subject: money.UserScope(user), MaxRows: chunk})
		if err != nil || len(rows) == 0 {
			return err
		}
		var erase store.EraseAuditDetailsParams
		for i := range rows {
			r := &rows[i]
			record := audit.Record{Salt: *r.Salt, Details: r.Details, ClientIP: r.ClientIp, RequestID: r.RequestID}
			commitment, err := record.Commit()
			if err != nil {
				return err
			}
			erase.Ids, erase.Commitments = append(erase.Ids, r.ID), append(erase.Commitments, commitment)
		}
		if _, err := q.EraseAuditDetails(ctx, erase); err != nil {
			return fmt.Errorf("erasing audit details: %w", err)
		}
	}
}
