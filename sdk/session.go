package tillbook

import (
	"context"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	authv1 "github.com/tillbook/tillbook/gen/tillbook/auth/v1"
)

const (
	// refreshAhead is how long before its end an access token is replaced, in
	// the background, while calls still use it.
	refreshAhead = time.Minute
	// settledAge is how old a token must be before the local clock may call it
	// expired. A clock that is wrong would otherwise replace each token at once;
	// so it waits until the server says so.
	settledAge = time.Minute
	// refreshPause is how long a token that is still good is used after a refresh
	// failed, before the next one.
	refreshPause = 5 * time.Second
	// refreshTimeout bounds a refresh with its retries.
	refreshTimeout = 15 * time.Second
	// refreshGrace is how long after a refresh token may have been used it is
	// safe to use it again. The server forgives an immediate repetition, so that
	// a lost answer costs nothing, and takes a later one for theft.
	refreshGrace = 3 * time.Second
)

// sessions keeps the tokens of whoever is signed in and renews them: for any
// number of callers there is one refresh at a time.
type sessions struct {
	refresh func(context.Context, string) (*Session, *Error)
	notify  func(*Session)
	base    context.Context // ends with the client
	running sync.WaitGroup  // the refresh under way

	changing sync.Mutex // serializes changes, so that notify sees them in order

	mu       sync.Mutex
	current  *Session  // never modified once it is here; nil if there is none
	since    time.Time // when current came from the server
	rejected string    // the access token that the server called expired
	failed   time.Time // when a refresh last failed
	ended    *Error    // why the session ended, until the next sign-in
	renewal  *renewal  // the refresh under way, if any
}

// renewal is a refresh that callers wait for together.
type renewal struct {
	done chan struct{}
	err  *Error // set before done is closed
}

// token returns an access token. It waits for a refresh if there is no other
// way, and returns why there is none for a session that ended.
func (s *sessions) token(ctx context.Context) (string, *Error) {
	for {
		token, wait, err := s.glance(time.Now())
		if err != nil || wait == nil {
			return token, err
		}
		select {
		case <-wait.done:
		case <-ctx.Done():
			return "", contextError(ctx, nil)
		}
		if wait.err != nil {
			copied := *wait.err
			return "", &copied
		}
	}
}

// glance returns the token to use now, or the refresh to wait for first.
func (s *sessions) glance(now time.Time) (string, *renewal, *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := s.current.GetAccessToken()
	if s.ended != nil || token == "" {
		return "", nil, s.signedOut()
	}
	switch s.state(now) {
	case tokenStale:
		return "", s.renew(), nil
	case tokenAging:
		if now.Sub(s.failed) >= refreshPause {
			s.renew()
		}
	}
	return token, nil, nil
}

type tokenState int

const (
	tokenFresh tokenState = iota
	tokenAging            // still good, to be replaced in the background
	tokenStale            // to be replaced first
)

// state judges the current token. The caller holds mu.
func (s *sessions) state(now time.Time) tokenState {
	if s.current.GetAccessToken() == s.rejected {
		return tokenStale
	}
	if now.Sub(s.since) < settledAge {
		return tokenFresh
	}
	switch left := s.current.GetAccessExpireTime().AsTime().Sub(now); {
	case left <= 0:
		return tokenStale
	case left <= refreshAhead:
		return tokenAging
	}
	return tokenFresh
}

// signedOut says that there is no session. The caller holds mu.
func (s *sessions) signedOut() *Error {
	if s.ended != nil {
		copied := *s.ended
		return &copied
	}
	return &Error{
		Code:    connect.CodeUnauthenticated,
		Reason:  ReasonUnauthenticated,
		Message: "nobody is signed in with this client: call Auth.Login, or Auth.Register",
	}
}

// renew returns the refresh under way, or begins one. The caller holds mu.
func (s *sessions) renew() *renewal {
	if s.renewal != nil {
		return s.renewal
	}
	r := &renewal{done: make(chan struct{})}
	if s.base.Err() != nil {
		r.err = &Error{Code: connect.CodeCanceled, Reason: ReasonCanceled, Message: "the client is closed"}
		close(r.done)
		return r
	}
	s.renewal = r
	used := s.current.GetRefreshToken()
	s.running.Go(func() {
		ctx, cancel := context.WithTimeout(s.base, refreshTimeout)
		defer cancel()
		session, err := s.exchange(ctx, used)
		s.finish(r, used, session, err)
	})
	return r
}

// exchange trades the refresh token for a new session. It repeats itself only
// while that is safe: shortly after the server may have seen the token. (While
// it can't have, the call itself retries.)
func (s *sessions) exchange(ctx context.Context, used string) (*Session, *Error) {
	soon, cancel := context.WithDeadline(ctx, time.Now().Add(refreshGrace))
	defer cancel()
	session, err := s.refresh(ctx, used)
	for n := 1; err != nil && err.sent && err.Code == connect.CodeUnavailable; n++ {
		if !pause(soon, backoff(n, err.RetryAfter, jitter())) {
			break
		}
		session, err = s.refresh(soon, used)
	}
	if err != nil && (err.Code == connect.CodeDeadlineExceeded || err.Code == connect.CodeCanceled) {
		err.Code, err.Reason = connect.CodeUnavailable, ReasonUnavailable // Not the caller's deadline.
	}
	if err != nil {
		err.Message = "the session can't be refreshed: " + err.Message
	}
	return session, err
}

// finish takes the result of a refresh, unless somebody signed in or out
// meanwhile.
func (s *sessions) finish(r *renewal, used string, session *Session, err *Error) {
	s.change(func() bool {
		s.renewal, r.err = nil, err
		if err != nil {
			s.failed = time.Now()
		}
		if s.current.GetRefreshToken() != used {
			return false
		}
		switch {
		case err == nil:
			s.adopt(session)
		case isFinal(err):
			s.end(err)
		default:
			return false
		}
		return true
	})
	close(r.done)
}

// isFinal reports whether only signing in again helps.
func isFinal(err *Error) bool {
	return err.Reason == ReasonSessionRevoked || err.Reason == ReasonRefreshTokenInvalid
}

// heed learns from the error of a call that was made with the token.
func (s *sessions) heed(token string, err *Error) {
	switch err.Reason {
	case ReasonTokenExpired:
		s.mu.Lock()
		defer s.mu.Unlock()
		if token != "" && s.current.GetAccessToken() == token {
			s.rejected = token
		}
	case ReasonSessionRevoked:
		s.change(func() bool {
			if token == "" || s.current.GetAccessToken() != token {
				return false
			}
			s.end(err)
			return true
		})
	}
}

// close ends the refresh under way and lets no further one begin. stop ends
// base.
func (s *sessions) close(stop context.CancelFunc) {
	s.mu.Lock() // Whoever was about to begin one has.
	stop()
	s.mu.Unlock()
	s.running.Wait()
}

// signIn takes a new session.
func (s *sessions) signIn(session *Session) {
	s.change(func() bool {
		s.adopt(session)
		return true
	})
}

// signOut forgets the tokens.
func (s *sessions) signOut() {
	s.change(func() bool {
		s.end(nil)
		return true
	})
}

// adopt replaces the session. The device's token stays if the new session has
// none. The caller is inside change.
func (s *sessions) adopt(session *Session) {
	session = proto.CloneOf(session)
	if session.GetDeviceToken() == "" {
		session.DeviceToken = s.current.GetDeviceToken()
	}
	s.current, s.since, s.rejected, s.ended = session, time.Now(), "", nil
}

// end drops all but the device's token. The caller is inside change.
func (s *sessions) end(why *Error) {
	device := s.current.GetDeviceToken()
	s.current, s.ended = nil, nil
	if device != "" {
		s.current = &authv1.Session{DeviceToken: device}
	}
	if why != nil {
		copied := *why
		copied.Procedure, copied.IdempotencyKey, copied.Outcome = "", "", OutcomeUnspecified
		s.ended = &copied
	}
}

// change runs a change of the session, one at a time, and then tells the
// callback if it says that there is something new.
func (s *sessions) change(do func() bool) {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.mu.Lock()
	changed := do()
	s.mu.Unlock()
	if changed && s.notify != nil {
		s.notify(s.export())
	}
}

// export returns a copy of the session, nil if there is nothing to keep.
func (s *sessions) export() *Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		return nil
	}
	return proto.CloneOf(s.current)
}
