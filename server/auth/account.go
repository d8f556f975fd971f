package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/server/phone"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
)

// registrable reads a number that may register.
func (s *Service) registrable(text string) (phone.E164, error) {
	number, err := phone.Parse(text)
	if err != nil {
		return "", err
	}
	if countries := s.config.Countries; len(countries) > 0 && !slices.Contains(countries, number.Region()) {
		return "", phone.ErrInvalid
	}
	return number, nil
}

// mayMessage takes a place in the outbox and what the limits on codes allow.
func (s *Service) mayMessage(ctx context.Context, p purpose, to phone.E164) (*place, error) {
	place, err := s.outbox.reserve()
	if err != nil {
		return nil, err
	}
	if err := s.limiter.AllowAll(ctx, s.config.Limits.codeChecks(p, to, clientIP(ctx))...); err != nil {
		place.release()
		s.alarm(ctx, err, to)
		return nil, err
	}
	return place, nil
}

// challenge makes a challenge and sends its message.
func (s *Service) challenge(ctx context.Context, q *store.Queries, a asked, place *place) (*authv1.Challenge, error) {
	row, m, err := s.newChallenge(a)
	if err != nil {
		return nil, err
	}
	if err := q.InsertChallenge(ctx, row); err != nil {
		return nil, fmt.Errorf("make a challenge: %w", err)
	}
	place.send(m)
	return challengeMessage(row.ID, row.ResendTime, row.ExpireTime), nil
}

// renew puts a new code in the place of a challenge's old one and sends it.
func (s *Service) renew(ctx context.Context, old store.Challenge, place *place) (*authv1.Challenge, error) {
	p := purpose(old.Purpose)
	isDecoy := decoy(p, old.UserID, old.PasswordHash)
	code, hash, err := s.drawCode(p, old.ID, isDecoy)
	if err != nil {
		return nil, err
	}
	now := s.now()
	row, err := s.store.Queries().RenewChallenge(ctx, store.RenewChallengeParams{
		ID: old.ID, CodeHash: hash, Now: now, MaxSends: maxSends,
		ResendTime: now.Add(s.config.ResendInterval), ExpireTime: now.Add(s.config.CodeLife),
	})
	if errors.Is(err, pgx.ErrNoRows) {
		// Another call was faster.
		return nil, errResendTooEarly.WithRetry(max(s.config.ResendInterval, time.Second))
	}
	if err != nil {
		return nil, fmt.Errorf("renew a challenge: %w", err)
	}
	m := message{phone: phone.E164(row.PhoneNumber)}
	if !isDecoy {
		m.text, m.code = textCode(p, code), true
	}
	place.send(m)
	return challengeMessage(row.ID, row.ResendTime, row.ExpireTime), nil
}

// enter spends a solved challenge, for whoever user returns, and starts a session
// on a new device.
func (s *Service) enter(
	ctx context.Context, solved store.Challenge,
	user func(context.Context, *store.Queries, store.Challenge) (store.User, error),
) (who store.User, st started, err error) {
	err = s.store.InTx(ctx, func(ctx context.Context, q *store.Queries, _ pgx.Tx) error {
		if who, err = user(ctx, q, solved); err != nil {
			return err
		}
		if err := spend(ctx, q, solved, s.now()); err != nil {
			return err
		}
		d, err := s.addDevice(ctx, q, who.ID, solved.DeviceName)
		if err != nil {
			return err
		}
		st, err = s.startSession(ctx, q, who.ID, d)
		return err
	})
	return who, st, err
}

// shareUser reads the user of a challenge and keeps the password from changing. A
// password that changes spends the user's challenges: whoever comes first holds
// the user's row.
func shareUser(ctx context.Context, q *store.Queries, solved store.Challenge) (store.User, error) {
	user, err := q.ShareUser(ctx, *solved.UserID)
	if err != nil {
		return store.User{}, fmt.Errorf("read a user: %w", err)
	}
	return user, nil
}

// addUser makes the user that a registration asked for.
func (s *Service) addUser(ctx context.Context, q *store.Queries, solved store.Challenge) (store.User, error) {
	user, err := q.InsertUser(ctx, store.InsertUserParams{
		ID: id.New(), PhoneNumber: solved.PhoneNumber, Username: *solved.Username,
		PasswordHash: *solved.PasswordHash, Now: s.now(),
	})
	if err != nil {
		return store.User{}, err
	}
	payload := userPayload{User: id.Format(id.User, user.ID)}
	return user, addEvent(ctx, q, eventRegistered, user.ID, payload)
}

// passwordChange says how a password comes to change.
type passwordChange struct {
	// kept is the session that changes it; it lives on.
	kept uuid.UUID
	// reset is the solved challenge of a reset; then nothing lives on.
	reset *store.Challenge
}

// setPassword replaces a password, spends the user's challenges and ends
// sessions.
func (s *Service) setPassword(ctx context.Context, user store.User, password string, change passwordChange) error {
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	var ended []uuid.UUID
	err = s.store.InTx(ctx, func(ctx context.Context, q *store.Queries, _ pgx.Tx) (err error) {
		now := s.now()
		locked, err := q.LockUser(ctx, user.ID)
		if err != nil {
			return fmt.Errorf("lock a user: %w", err)
		}
		why, event := endPasswordChange, eventPasswordChanged
		if change.reset != nil {
			why, event = endPasswordReset, eventPasswordReset
			if err := spend(ctx, q, *change.reset, now); err != nil {
				return err
			}
			if err := q.DeleteDevicesOfUser(ctx, user.ID); err != nil {
				return fmt.Errorf("forget devices: %w", err)
			}
			if err := addEvent(ctx, q, eventDeviceRemoved, user.ID, devicePayload{Reason: why}); err != nil {
				return err
			}
		} else if !locked.PasswordTime.Equal(user.PasswordTime) {
			return errPasswordWrong
		}
		if err := q.SetPassword(ctx, store.SetPasswordParams{ID: user.ID, PasswordHash: hash, Now: now}); err != nil {
			return fmt.Errorf("set a password: %w", err)
		}
		if err := q.CancelChallenges(ctx, store.CancelChallengesParams{UserID: user.ID, Now: now}); err != nil {
			return fmt.Errorf("cancel challenges: %w", err)
		}
		if ended, err = s.endSessions(ctx, q, user.ID, change.kept, why); err != nil {
			return err
		}
		return addEvent(ctx, q, event, user.ID, userPayload{User: id.Format(id.User, user.ID)})
	})
	if err != nil {
		return err
	}
	s.revoked.add(ended...)
	s.notify(ctx, message{phone: phone.E164(user.PhoneNumber), text: textPasswordChanged})
	return nil
}

// notify sends a message that the call before it can do without.
func (s *Service) notify(ctx context.Context, m message) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sideTimeout)
	defer cancel()
	err := s.limiter.Allow(ctx, s.config.Limits.NoticePhone, string(m.phone))
	if err != nil {
		s.log.InfoContext(ctx, "a notice was left out", "error", err)
		return
	}
	s.outbox.notify(m)
}

func userMessage(user store.User) *authv1.User {
	return &authv1.User{
		UserId:      id.Format(id.User, user.ID),
		PhoneNumber: user.PhoneNumber,
		Username:    user.Username,
		CreateTime:  timestamppb.New(user.CreateTime),
	}
}

func challengeMessage(challenge uuid.UUID, resend, expire time.Time) *authv1.Challenge {
	return &authv1.Challenge{
		ChallengeId: id.Format(id.Challenge, challenge),
		ExpireTime:  timestamppb.New(expire),
		ResendTime:  timestamppb.New(resend),
	}
}
