package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/server/phone"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
)

// purpose is what a challenge is for. A code counts for its own purpose only.
type purpose string

const (
	purposeRegister      purpose = "register"
	purposeLogin         purpose = "login"
	purposePasswordReset purpose = "password_reset"
)

const (
	// maxTries is how many codes are compared for one challenge; the statement
	// TryChallenge and a constraint hold it too.
	maxTries = 5
	// maxSends is how many codes are sent for one challenge.
	maxSends = 5
)

// asked is what a challenge is to be made for.
type asked struct {
	purpose    purpose
	phone      phone.E164
	deviceName string
	// user is whose account it is about; nil for a registration.
	user *uuid.UUID
	// username and passwordHash are those of a registration.
	username, passwordHash *string
}

// decoy says whether nobody can solve the challenge: the number to register has
// an account, or the one to reset has none.
func decoy(p purpose, user *uuid.UUID, passwordHash *string) bool {
	if p == purposeRegister {
		return passwordHash == nil
	}
	return user == nil
}

// newChallenge draws a code and returns the row to insert and the message to
// send.
func (s *Service) newChallenge(a asked) (store.InsertChallengeParams, message, error) {
	now := s.now()
	row := store.InsertChallengeParams{
		ID:           id.New(),
		Purpose:      string(a.purpose),
		PhoneNumber:  string(a.phone),
		UserID:       a.user,
		Username:     a.username,
		PasswordHash: a.passwordHash,
		DeviceName:   a.deviceName,
		CreateTime:   now,
		ResendTime:   now.Add(s.config.ResendInterval),
		ExpireTime:   now.Add(s.config.CodeLife),
	}
	isDecoy := decoy(a.purpose, a.user, a.passwordHash)
	code, hash, err := s.drawCode(a.purpose, row.ID, isDecoy)
	if err != nil {
		return row, message{}, err
	}
	row.CodeHash = hash
	switch {
	case isDecoy && a.purpose == purposeRegister:
		return row, message{phone: a.phone, text: textRegistered}, nil
	case isDecoy:
		return row, message{phone: a.phone}, nil
	default:
		return row, message{phone: a.phone, text: textCode(a.purpose, code), code: true}, nil
	}
}

// drawCode returns a fresh code and the hash to keep. A decoy's hash is of
// nothing.
func (s *Service) drawCode(p purpose, challenge uuid.UUID, isDecoy bool) (code string, hash []byte, err error) {
	code, err = randomCode(s.random)
	if err != nil {
		return "", nil, err
	}
	keys := s.keys.current()
	hash = codeHash(keys.macFor(s.now()).code, p, challenge, code)
	if isDecoy {
		if _, err := io.ReadFull(s.random, hash); err != nil {
			return "", nil, fmt.Errorf("draw a code: %w", err)
		}
	}
	return code, hash, nil
}

// solve counts a try and compares the code. What it returns is still to be spent
// with UseChallenge, in the transaction of what the code is for.
func (s *Service) solve(ctx context.Context, p purpose, challengeID, code string) (store.Challenge, error) {
	challenge, err := id.Parse(id.Challenge, challengeID)
	if err != nil {
		return store.Challenge{}, errCodeExpired
	}
	now := s.now()
	q := s.store.Queries()
	row, err := q.TryChallenge(ctx, store.TryChallengeParams{ID: challenge, Purpose: string(p), Now: now})
	if errors.Is(err, pgx.ErrNoRows) {
		return store.Challenge{}, s.closed(ctx, challenge, p)
	}
	if err != nil {
		return store.Challenge{}, fmt.Errorf("try a code: %w", err)
	}
	s.stats.codesCompared.Add(1)
	right := 0
	for _, mac := range s.keys.current().macs {
		right |= subtle.ConstantTimeCompare(codeHash(mac.code, p, challenge, code), row.CodeHash)
	}
	if right == 1 && !decoy(p, row.UserID, row.PasswordHash) {
		s.codesVerified.add(phone.E164(row.PhoneNumber))
		return row, nil
	}
	s.addRefusal(ctx, eventCodeRefused, row.UserID)
	if row.Tries >= maxTries {
		return store.Challenge{}, errTooManyAttempts
	}
	return store.Challenge{}, errCodeInvalid
}

// closed says why a challenge takes no code.
func (s *Service) closed(ctx context.Context, challenge uuid.UUID, p purpose) error {
	row, err := s.store.Queries().GetChallenge(ctx, challenge)
	if errors.Is(err, pgx.ErrNoRows) {
		return errCodeExpired
	}
	if err != nil {
		return fmt.Errorf("read a challenge: %w", err)
	}
	if row.Purpose != string(p) {
		return errCodeExpired
	}
	return whyClosed(row)
}

// whyClosed says why a challenge takes no code.
func whyClosed(row store.Challenge) error {
	if row.UseTime == nil && row.Tries >= maxTries {
		return errTooManyAttempts
	}
	return errCodeExpired
}

// whyNotResent says why a challenge sends no new code.
func whyNotResent(row store.Challenge, now time.Time) error {
	switch {
	case row.UseTime != nil, !row.ExpireTime.After(now), row.Tries >= maxTries:
		return whyClosed(row)
	case row.Sends >= maxSends:
		return errResendTooOften.WithRetry(row.ExpireTime.Sub(now))
	default:
		return errResendTooEarly.WithRetry(max(row.ResendTime.Sub(now), time.Second))
	}
}

// spend uses a solved challenge, once.
func spend(ctx context.Context, q *store.Queries, row store.Challenge, now time.Time) error {
	n, err := q.UseChallenge(ctx, store.UseChallengeParams{ID: row.ID, Now: now})
	if err != nil {
		return fmt.Errorf("use a challenge: %w", err)
	}
	if n == 0 {
		return errCodeExpired
	}
	return nil
}

const (
	codeDigits = 6
	codeCount  = 1_000_000
)

// randomCode draws six digits, all codes with the same chance.
func randomCode(random io.Reader) (string, error) {
	// Numbers above the last multiple are drawn again, or low codes would come
	// more often.
	const limit = (1 << 32) / codeCount * codeCount
	for {
		var b [4]byte
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return "", fmt.Errorf("draw a code: %w", err)
		}
		if n := binary.BigEndian.Uint32(b[:]); uint64(n) < limit {
			return fmt.Sprintf("%0*d", codeDigits, n%codeCount), nil
		}
	}
}

// codeHash binds a code to its challenge and purpose.
func codeHash(key []byte, p purpose, challenge uuid.UUID, code string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(p))
	mac.Write([]byte{0})
	mac.Write(challenge[:])
	mac.Write([]byte(code))
	return mac.Sum(nil)
}

// resendable says whether a challenge may send a new code, as far as its row
// tells; RenewChallenge decides.
func resendable(row store.Challenge, now time.Time) bool {
	return row.UseTime == nil && row.ExpireTime.After(now) && row.Tries < maxTries &&
		row.Sends < maxSends && !row.ResendTime.After(now)
}
