package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
)

const (
	// maxSessions is how many live sessions a user has; a new one ends the oldest.
	maxSessions = 50
	// maxDevices is how many devices are remembered for a user.
	maxDevices = 20
)

// endReason says in the database why a session was ended.
type endReason string

const (
	endLogout         endReason = "logout"
	endRevoked        endReason = "revoked"
	endReuse          endReason = "refresh_token_reused"
	endPasswordChange endReason = "password_changed"
	endPasswordReset  endReason = "password_reset"
	endTooMany        endReason = "too_many_sessions"
)

// started is a session that was just written, with what only its client gets.
type started struct {
	row          store.Session
	refreshToken opaque
	// deviceToken is what the client sends at its next sign-in.
	deviceToken opaque
	// ended are the sessions that had to make room.
	ended []uuid.UUID
}

// device is the one that a session is started on.
type device struct {
	id    uuid.UUID
	token opaque
	name  string
}

// addDevice remembers a device on which a code was verified.
func (s *Service) addDevice(ctx context.Context, q *store.Queries, user uuid.UUID, name string) (device, error) {
	token, err := drawOpaque(s.random)
	if err != nil {
		return device{}, err
	}
	now := s.now()
	d := device{id: id.New(), token: token, name: name}
	err = q.InsertDevice(ctx, store.InsertDeviceParams{
		ID: d.id, UserID: user, TokenHash: token.hash(), Name: name,
		Now: now, ExpireTime: now.Add(s.config.DeviceLife),
	})
	if err != nil {
		return device{}, fmt.Errorf("remember a device: %w", err)
	}
	if err := q.TrimDevices(ctx, store.TrimDevicesParams{UserID: user, Kept: maxDevices}); err != nil {
		return device{}, fmt.Errorf("forget old devices: %w", err)
	}
	return d, addEvent(ctx, q, eventDeviceAdded, user, devicePayload{Device: d.id.String()})
}

// forgetDevice takes what was known about a session's device away from it.
func forgetDevice(ctx context.Context, q *store.Queries, session store.Session, why endReason) error {
	if session.DeviceID == nil {
		return nil
	}
	err := q.DeleteDevice(ctx, store.DeleteDeviceParams{ID: *session.DeviceID, UserID: session.UserID})
	if err != nil {
		return fmt.Errorf("forget a device: %w", err)
	}
	return addEvent(ctx, q, eventDeviceRemoved, session.UserID, devicePayload{Device: session.DeviceID.String(), Reason: why})
}

// touchDevice notes a sign-in on a known device. It fails with errDeviceGone if
// the device was revoked in the meantime.
func (s *Service) touchDevice(ctx context.Context, q *store.Queries, user uuid.UUID, d device) error {
	now := s.now()
	n, err := q.TouchDevice(ctx, store.TouchDeviceParams{
		ID: d.id, UserID: user, Name: d.name, Now: now, ExpireTime: now.Add(s.config.DeviceLife),
	})
	if err != nil {
		return fmt.Errorf("note a sign-in: %w", err)
	}
	if n == 0 {
		return errDeviceGone
	}
	return nil
}

// startSession writes a new session. The caller's transaction holds the user's
// row, so that no password changes at the same time.
func (s *Service) startSession(ctx context.Context, q *store.Queries, user uuid.UUID, d device) (started, error) {
	token, err := drawOpaque(s.random)
	if err != nil {
		return started{}, err
	}
	now := s.now()
	row, err := q.InsertSession(ctx, store.InsertSessionParams{
		ID: id.New(), UserID: user, DeviceID: &d.id, DeviceName: d.name,
		Now: now, ExpireTime: now.Add(s.config.SessionLife),
	})
	if err != nil {
		return started{}, fmt.Errorf("start a session: %w", err)
	}
	err = q.InsertRefreshToken(ctx, store.InsertRefreshTokenParams{TokenHash: token.hash(), SessionID: row.ID})
	if err != nil {
		return started{}, fmt.Errorf("keep a refresh token: %w", err)
	}
	ended, err := q.TrimSessions(ctx, store.TrimSessionsParams{
		UserID: user, Now: now, Kept: maxSessions, Reason: string(endTooMany),
	})
	if err != nil {
		return started{}, fmt.Errorf("end old sessions: %w", err)
	}
	err = addEvent(ctx, q, eventSessionStarted, user, sessionPayload{Session: id.Format(id.Session, row.ID)})
	return started{row: row, refreshToken: token, deviceToken: d.token, ended: ended}, err
}

// hand makes the message that hands a started session to its client, once it is
// committed.
func (s *Service) hand(st started) (*authv1.Session, error) {
	s.revoked.add(st.ended...)
	out, err := s.tokensOf(st.row, st.refreshToken)
	if err != nil {
		return nil, err
	}
	out.DeviceToken = st.deviceToken.text(devicePrefix)
	return out, nil
}

// tokensOf signs an access token and writes the tokens of a session.
func (s *Service) tokensOf(row store.Session, refresh opaque) (*authv1.Session, error) {
	access, err := s.mint(row)
	if err != nil {
		return nil, err
	}
	return &authv1.Session{
		SessionId:         id.Format(id.Session, row.ID),
		AccessToken:       access.text,
		AccessExpireTime:  timestamppb.New(access.expireTime),
		RefreshToken:      refresh.text(refreshPrefix),
		SessionExpireTime: timestamppb.New(row.ExpireTime),
	}, nil
}

// endSession ends one of a user's sessions and returns it if it was live.
func (s *Service) endSession(ctx context.Context, q *store.Queries, user, session uuid.UUID, why endReason) ([]uuid.UUID, error) {
	ended, err := q.EndSession(ctx, store.EndSessionParams{ID: session, UserID: user, Now: s.now(), Reason: string(why)})
	if err != nil {
		return nil, fmt.Errorf("end a session: %w", err)
	}
	return ended, addEnded(ctx, q, user, ended, why)
}

// endSessions ends all of a user's sessions but for one; uuid.Nil keeps none.
func (s *Service) endSessions(ctx context.Context, q *store.Queries, user, kept uuid.UUID, why endReason) ([]uuid.UUID, error) {
	ended, err := q.EndSessionsOfUser(ctx, store.EndSessionsOfUserParams{
		UserID: user, KeptID: kept, Now: s.now(), Reason: string(why),
	})
	if err != nil {
		return nil, fmt.Errorf("end a user's sessions: %w", err)
	}
	return ended, addEnded(ctx, q, user, ended, why)
}

// revokeSession ends one of a user's sessions and forgets its device.
func (s *Service) revokeSession(ctx context.Context, q *store.Queries, user, session uuid.UUID) ([]uuid.UUID, error) {
	row, err := q.GetSession(ctx, store.GetSessionParams{ID: session, UserID: user})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errNoSession
	}
	if err != nil {
		return nil, fmt.Errorf("read a session: %w", err)
	}
	if err := forgetDevice(ctx, q, row, endRevoked); err != nil {
		return nil, err
	}
	return s.endSession(ctx, q, user, session, endRevoked)
}

// end runs what ends sessions in a transaction, and lets this replica know of it
// once it is committed.
func (s *Service) end(ctx context.Context, f func(context.Context, *store.Queries) ([]uuid.UUID, error)) error {
	var ended []uuid.UUID
	err := s.store.InTx(ctx, func(ctx context.Context, q *store.Queries, _ pgx.Tx) (err error) {
		ended, err = f(ctx, q)
		return err
	})
	if err != nil {
		return err
	}
	s.revoked.add(ended...)
	return nil
}

// summary describes a session to its owner.
func summary(row store.Session, current uuid.UUID) *authv1.SessionSummary {
	return &authv1.SessionSummary{
		SessionId:       id.Format(id.Session, row.ID),
		DeviceName:      row.DeviceName,
		CreateTime:      timestamppb.New(row.CreateTime),
		LastRefreshTime: timestamppb.New(row.LastRefreshTime),
		ExpireTime:      timestamppb.New(row.ExpireTime),
		Current:         row.ID == current,
	}
}

// live says whether a session has neither been ended nor expired.
func live(row store.Session, now time.Time) bool {
	return row.RevokeTime == nil && row.ExpireTime.After(now)
}
