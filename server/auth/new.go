package auth

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/hashicorp/golang-lru/v2"

	"github.com/tillbook/tillbook/server/rate"
	"github.com/tillbook/tillbook/store"
)

// Service is the AuthService and knows who holds a token. It is safe for
// concurrent use.
type Service struct {
	store   *store.Store
	jobs    *store.Store
	limiter *rate.Limiter
	clock   func() time.Time
	random  io.Reader
	log     *slog.Logger
	config  Config

	hasher    *hasher
	keys      *keyring
	parser    *jwt.Parser
	tokens    *lru.Cache[tokenHash, verified]
	revoked   *revocations
	operators *operators
	outbox    *outbox

	stats struct {
		codesCompared, codesRefused, signaturesChecked atomic.Int64
	}
	codesVerified tally
	// alarmed is when operators were last told of too many codes.
	alarmed atomic.Int64

	// stop ends the goroutines that tasks counts.
	stop  context.CancelFunc
	tasks sync.WaitGroup
	once  sync.Once
}

// startTimeout bounds what New asks of the database.
const startTimeout = 30 * time.Second

// New returns a service that is ready to serve. It makes the first keys if the
// database has none, and fails if it can't open those that are there.
func New(deps Deps) (*Service, error) {
	deps, err := deps.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Service{
		store: deps.Store, jobs: deps.Jobs, limiter: deps.Limiter, clock: deps.Clock, random: deps.Random,
		log: deps.Logger, config: deps.Config,
	}
	s.keys = &keyring{
		store: deps.Jobs, secret: deps.Secret, now: s.now,
		policy: keyPolicy{
			life: s.config.KeyLife,
			lead: s.config.KeyLead,
			keep: max(s.config.AccessLife, s.config.CodeLife) + 10*time.Minute,
		},
	}
	s.parser = newParser(s.config, s.clock)
	s.revoked = newRevocations(deps.Events, s.now, s.config)
	if s.operators, err = newOperators(deps.Store, s.now); err != nil {
		return nil, err
	}
	if s.tokens, err = lru.New[tokenHash, verified](s.config.TokenCache); err != nil {
		return nil, fmt.Errorf("make a cache: %w", err)
	}
	s.keys.removed = s.tokens.Purge
	if s.hasher, err = newHasher(s.config); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := s.keys.maintain(ctx); err != nil {
		return nil, err
	}
	if err := s.revoked.poll(ctx); err != nil {
		return nil, err
	}
	s.start(deps.SMS)
	return s, nil
}

func (s *Service) start(gateway Gateway) {
	s.outbox = newOutbox(gateway, s.config.MessageQueue, s.log)
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.tasks.Go(func() { s.follow(ctx) })
	s.tasks.Go(func() { s.maintain(ctx) })
}

// Close sends the messages that wait and ends what runs in the background. The
// service takes no calls any more by then.
func (s *Service) Close() {
	s.once.Do(func() {
		s.stop()
		s.tasks.Wait()
		s.outbox.close(s.config.DrainTimeout)
	})
}

// Stats counts what the service did since it was made.
type Stats struct {
	// PasswordsHashed is how often argon2id ran.
	PasswordsHashed int64
	// PasswordsPeak is how often it ran at the same time at the most.
	PasswordsPeak int64
	// PasswordsWaiting is how many calls wait for it now.
	PasswordsWaiting int64
	// PasswordsRefused is how many calls were turned away instead.
	PasswordsRefused int64
	// CodesCompared is how many codes were compared with the right one.
	CodesCompared int64
	// CodesRefused is how many codes were not sent because too many had been sent
	// to a block of numbers or a country.
	CodesRefused int64
	// SignaturesChecked is how many access tokens were not known already.
	SignaturesChecked int64
	// MessagesSent and MessagesFailed count messages.
	MessagesSent, MessagesFailed int64
	// MessagesWaiting is how many messages wait to be sent now.
	MessagesWaiting int64
	// MessagesAge is for how long the oldest of those waits.
	MessagesAge time.Duration
	// CodesSent and CodesVerified count codes by the dial code of their number.
	CodesSent, CodesVerified map[string]int64
	// RevocationLag is how far the replica is behind others' revocations of sessions.
	RevocationLag time.Duration
}

// Stats returns the counts up to now.
func (s *Service) Stats() Stats {
	return Stats{
		PasswordsHashed:   s.hasher.evaluated.Load(),
		PasswordsPeak:     s.hasher.peak.Load(),
		PasswordsWaiting:  s.hasher.waiting.Load(),
		PasswordsRefused:  s.hasher.refused.Load(),
		CodesCompared:     s.stats.codesCompared.Load(),
		CodesRefused:      s.stats.codesRefused.Load(),
		SignaturesChecked: s.stats.signaturesChecked.Load(),
		MessagesSent:      s.outbox.sent.Load(),
		MessagesFailed:    s.outbox.failed.Load(),
		MessagesWaiting:   int64(len(s.outbox.places)),
		MessagesAge:       s.outbox.waiting.longest(),
		CodesSent:         s.outbox.codes.snapshot(),
		CodesVerified:     s.codesVerified.snapshot(),
		RevocationLag:     time.Since(processStart) - time.Duration(s.revoked.polled.Load()),
	}
}

// now has the precision of the database, so that a time is the same before and
// after it was stored.
func (s *Service) now() time.Time { return s.clock().UTC().Truncate(time.Microsecond) }
