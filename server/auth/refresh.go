package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store"
)

// verdict is what becomes of a refresh token that came in.
type verdict int

const (
	// sessionDead is for a session that was ended or has expired.
	sessionDead verdict = iota
	// rotate is for the newest token: it gets a successor.
	rotate
	// repeat is for the newest one's direct predecessor, a moment after: a call
	// that raced, or whose answer was lost. It gets the same successor again.
	repeat
	// reused is for any older one: it was copied.
	reused
)

// judge decides what becomes of a refresh token of some generation. The session
// is locked.
func judge(session store.Session, generation int32, now time.Time, grace time.Duration) verdict {
	switch {
	case !live(session, now):
		return sessionDead
	case generation == session.Generation:
		return rotate
	case generation == session.Generation-1 && now.Sub(session.LastRefreshTime) <= grace:
		return repeat
	default:
		return reused
	}
}

// refreshed is what a refresh led to.
type refreshed struct {
	verdict verdict
	session store.Session
	next    opaque
	ended   []uuid.UUID
}

// refresh exchanges a token for its successor, in a transaction that holds the
// session. It ends a session whose token was copied: that must be committed, so
// it is no error here.
func (s *Service) refresh(ctx context.Context, q *store.Queries, token opaque, found store.RefreshToken) (refreshed, error) {
	session, err := q.LockSession(ctx, found.SessionID)
	if errors.Is(err, pgx.ErrNoRows) {
		return refreshed{}, errRefreshTokenInvalid
	}
	if err != nil {
		return refreshed{}, fmt.Errorf("lock a session: %w", err)
	}
	now := s.now()
	out := refreshed{session: session, verdict: judge(session, found.Generation, now, s.config.RefreshGrace)}
	switch out.verdict {
	case rotate:
		out.next = token.successor(s.keys.current().macFor(now).refresh)
		err = s.advance(ctx, q, session, out.next, now)
	case repeat:
		out.next, err = s.sameSuccessor(ctx, q, session, token)
	case reused:
		out.ended, err = s.endSession(ctx, q, session.UserID, session.ID, endReuse)
		if err == nil {
			err = forgetDevice(ctx, q, session, endReuse)
		}
	}
	return out, err
}

// advance makes a token the session's newest.
func (s *Service) advance(ctx context.Context, q *store.Queries, session store.Session, next opaque, now time.Time) error {
	err := q.InsertRefreshToken(ctx, store.InsertRefreshTokenParams{
		TokenHash: next.hash(), SessionID: session.ID, Generation: session.Generation + 1,
	})
	if err != nil {
		return fmt.Errorf("keep a refresh token: %w", err)
	}
	err = q.AdvanceSession(ctx, store.AdvanceSessionParams{
		ID: session.ID, Generation: session.Generation + 1, Now: now,
	})
	if err != nil {
		return fmt.Errorf("advance a session: %w", err)
	}
	return nil
}

// sameSuccessor derives the successor that an earlier call was given. The key
// may have changed in between, so all are tried.
func (s *Service) sameSuccessor(ctx context.Context, q *store.Queries, session store.Session, token opaque) (opaque, error) {
	newest, err := q.GetRefreshToken(ctx, store.GetRefreshTokenParams{
		SessionID: session.ID, Generation: session.Generation,
	})
	if err != nil {
		return opaque{}, fmt.Errorf("read a refresh token: %w", err)
	}
	for _, mac := range s.keys.current().macs {
		if next := token.successor(mac.refresh); bytes.Equal(next.hash(), newest.TokenHash) {
			return next, nil
		}
	}
	return opaque{}, errNoSuccessor
}

var errNoSuccessor = errors.New("a refresh token's successor was made with a key that is gone")
