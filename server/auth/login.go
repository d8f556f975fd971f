package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/server/phone"
	"github.com/tillbook/tillbook/server/rate"
	"github.com/tillbook/tillbook/store"
)

// login is who wants to sign in. For a number without an account there is
// nobody: no user and no hash.
type login struct {
	phone        phone.E164
	user         *uuid.UUID
	hash         string
	passwordTime time.Time
	// device is set if the device that asks is one of the user's.
	device *device
}

// findLogin looks a number up, together with the device that asks.
func (s *Service) findLogin(ctx context.Context, number phone.E164, deviceToken string) (login, error) {
	token, given := parseOpaque(devicePrefix, deviceToken)
	row, err := s.store.Queries().FindLogin(ctx, store.FindLoginParams{
		PhoneNumber: string(number), DeviceTokenHash: token.hash(), Now: s.now(),
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return login{phone: number}, nil
	}
	if err != nil {
		return login{}, fmt.Errorf("find an account: %w", err)
	}
	out := login{phone: number, user: &row.ID, hash: row.PasswordHash, passwordTime: row.PasswordTime}
	if given && row.DeviceID != nil {
		out.device = &device{id: *row.DeviceID, token: token}
	}
	return out, nil
}

// loginFailures are the limits that a wrong password uses up. A known device has
// its own, so that strangers who fail on purpose don't lock its owner out.
func (s *Service) loginFailures(ctx context.Context, number phone.E164, who login) []rate.Check {
	limits := s.config.Limits
	if who.device != nil {
		return []rate.Check{{Rule: limits.LoginDevice, Subject: who.device.id.String()}}
	}
	return []rate.Check{
		{Rule: limits.LoginPhoneIP, Subject: join(string(number), clientIP(ctx))},
		{Rule: limits.LoginPhone, Subject: string(number)},
	}
}

// unlock forgets everybody's failures with a number whose owner has just proved
// to be that.
func (s *Service) unlock(ctx context.Context, number phone.E164) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sideTimeout)
	defer cancel()
	limits := s.config.Limits
	err := errors.Join(
		s.limiter.Reset(ctx, limits.LoginPhone, string(number)),
		s.limiter.Reset(ctx, limits.LoginPhoneIP, join(string(number), clientIP(ctx))),
	)
	if err != nil {
		s.log.WarnContext(ctx, "a limit was not reset", "error", err)
	}
}

// loginKnown starts a session on a known device. It fails with errDeviceGone if
// the device was revoked in the meantime.
func (s *Service) loginKnown(ctx context.Context, who login, deviceName string) (*authv1.Session, error) {
	d := *who.device
	d.name = deviceName
	var st started
	err := s.store.InTx(ctx, func(ctx context.Context, q *store.Queries, _ pgx.Tx) error {
		if err := samePassword(ctx, q, who); err != nil {
			return err
		}
		if err := s.touchDevice(ctx, q, *who.user, d); err != nil {
			return err
		}
		var err error
		st, err = s.startSession(ctx, q, *who.user, d)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.hand(st)
}

// loginNew asks for a code on a new device.
func (s *Service) loginNew(ctx context.Context, who login, deviceName string) (*authv1.Challenge, error) {
	place, err := s.mayMessage(ctx, purposeLogin, who.phone)
	if err != nil {
		return nil, err
	}
	defer place.release()
	a := asked{purpose: purposeLogin, phone: who.phone, user: who.user, deviceName: deviceName}
	row, m, err := s.newChallenge(a)
	if err != nil {
		return nil, err
	}
	err = s.store.InTx(ctx, func(ctx context.Context, q *store.Queries, _ pgx.Tx) error {
		if err := samePassword(ctx, q, who); err != nil {
			return err
		}
		return q.InsertChallenge(ctx, row)
	})
	if err != nil {
		return nil, err
	}
	place.send(m)
	return challengeMessage(row.ID, row.ResendTime, row.ExpireTime), nil
}

// samePassword makes sure that the password that was checked is still the one in
// force, and keeps it so until the end of the transaction.
func samePassword(ctx context.Context, q *store.Queries, who login) error {
	user, err := q.ShareUser(ctx, *who.user)
	if err != nil {
		return fmt.Errorf("read a user: %w", err)
	}
	if !user.PasswordTime.Equal(who.passwordTime) {
		return errCredentialsInvalid
	}
	return nil
}

// rehash replaces the hash of a password that was just proved, after the
// parameters of hashes changed. If it can't, the next sign-in will.
func (s *Service) rehash(ctx context.Context, who login, password string) {
	hash, err := s.hasher.hash(ctx, password)
	if err == nil {
		err = s.store.Queries().RehashPassword(ctx, store.RehashPasswordParams{
			ID: *who.user, OldHash: who.hash, NewHash: hash,
		})
	}
	if err != nil {
		s.log.WarnContext(ctx, "a password was not hashed anew", "error", err)
	}
}
