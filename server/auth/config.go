package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"runtime"
	"time"

	"github.com/alexedwards/argon2id"

	"github.com/tillbook/tillbook/server/rate"
	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/store"
)

// Gateway sends text messages. An error that wraps ErrUndeliverable is final;
// after any other the message is sent again, a few times at most. Errors never
// quote the number or the text: they are logged.
type Gateway interface {
	Send(ctx context.Context, phone, text string) error
}

// Deps is what the service stands on.
type Deps struct {
	// Store is the database. Required.
	Store *store.Store
	// Events follows revoked sessions, and Jobs cleans up, so that neither waits for
	// connections behind calls. Default: Store.
	Events, Jobs *store.Store
	// Limiter counts calls over all replicas. Required.
	Limiter *rate.Limiter
	// Secret seals the keys that are stored in the database. It must be the same
	// on all replicas. Required.
	Secret *secret.Keys
	// SMS sends the messages. Required.
	SMS Gateway
	// Clock says what time it is. Default: time.Now.
	Clock func() time.Time
	// Random is where codes and tokens come from. Default: crypto/rand.Reader.
	Random io.Reader
	// Logger gets what operators should know. Default: slog.Default().
	Logger *slog.Logger
	// Config tunes the service; its zero value is right for production.
	Config Config
}

// Config tunes the service.
type Config struct {
	// Issuer and Audience are the iss and aud of access tokens. Default:
	// "tillbook" for both.
	Issuer, Audience string
	// AccessLife is how long an access token lives. Default: 15 minutes.
	AccessLife time.Duration
	// SessionLife is how long a session lives. Default: 6 hours.
	SessionLife time.Duration
	// DeviceLife is how long a device is remembered after its last sign-in.
	// Default: 90 days.
	DeviceLife time.Duration
	// RefreshGrace is how long the direct predecessor of a refresh token may come
	// back. Default: 10 seconds.
	RefreshGrace time.Duration
	// CodeLife is how long a code is accepted. Default: 10 minutes.
	CodeLife time.Duration
	// ResendInterval is the time between two codes of a challenge. Default: 60
	// seconds. Negative for none.
	ResendInterval time.Duration
	// KeyLife is how long a signing key makes new signatures. Default: 30 days.
	KeyLife time.Duration
	// KeyLead is how long before that a key is published. Default: 1 hour.
	KeyLead time.Duration
	// Argon2 are the parameters of new password hashes. Default: 46 MiB, t=1, p=1.
	Argon2 argon2id.Params
	// PasswordSlots is how many passwords are hashed at the same time, each in
	// 46 MiB. Default: half of the processors, at least one, so that a flood of
	// sign-ins leaves the rest to money.
	PasswordSlots int
	// PasswordQueue is how many calls may wait for a slot. Default: 256.
	PasswordQueue int
	// PasswordWait is how long a call waits for one. Default: 10 seconds.
	PasswordWait time.Duration
	// Countries are the ISO 3166 codes of the countries whose numbers may
	// register, such as "ID". Default: all.
	Countries []string
	// Limits are the limits on calls. Default: DefaultLimits().
	Limits *Limits
	// TokenCache is how many verified access tokens are remembered. Default:
	// 100,000.
	TokenCache int
	// PollInterval is the time between two looks for revoked sessions. Default: 1
	// second.
	PollInterval time.Duration
	// PollMaxAge is how long after the last successful look access tokens are
	// still accepted. Default: 30 seconds.
	PollMaxAge time.Duration
	// MaintainInterval is the time between two rounds of the janitor and of the
	// rotation of keys. Default: 1 minute.
	MaintainInterval time.Duration
	// MessageQueue is how many messages may wait to be sent. Default: 1,024.
	MessageQueue int
	// DrainTimeout is how long Close waits for messages to be sent. Default: 10
	// seconds.
	DrainTimeout time.Duration
}

// Password hashing as OWASP recommends it.
const (
	argon2MemoryKiB  = 46 * 1024
	argon2Iterations = 1
	argon2Threads    = 1
	argon2SaltBytes  = 16
	argon2KeyBytes   = 32
)

func (d Deps) withDefaults() (Deps, error) {
	switch {
	case d.Store == nil:
		return d, errors.New("auth: no store")
	case d.Limiter == nil:
		return d, errors.New("auth: no limiter")
	case d.Secret == nil:
		return d, errors.New("auth: no secret")
	case d.SMS == nil:
		return d, errors.New("auth: no SMS gateway")
	}
	if d.Events == nil {
		d.Events = d.Store
	}
	if d.Jobs == nil {
		d.Jobs = d.Store
	}
	if d.Clock == nil {
		d.Clock = time.Now
	}
	if d.Random == nil {
		d.Random = rand.Reader
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	d.Config = d.Config.withDefaults()
	return d, nil
}

func (c Config) withDefaults() Config {
	setDefault(&c.Issuer, "tillbook")
	setDefault(&c.Audience, "tillbook")
	setDefault(&c.AccessLife, 15*time.Minute)
	setDefault(&c.SessionLife, 6*time.Hour)
	setDefault(&c.DeviceLife, 90*24*time.Hour)
	setDefault(&c.RefreshGrace, 10*time.Second)
	setDefault(&c.CodeLife, 10*time.Minute)
	setDefault(&c.ResendInterval, time.Minute)
	setDefault(&c.KeyLife, 30*24*time.Hour)
	setDefault(&c.KeyLead, time.Hour)
	setDefault(&c.Argon2, argon2id.Params{
		Memory:      argon2MemoryKiB,
		Iterations:  argon2Iterations,
		Parallelism: argon2Threads,
		SaltLength:  argon2SaltBytes,
		KeyLength:   argon2KeyBytes,
	})
	setDefault(&c.PasswordSlots, max(1, runtime.GOMAXPROCS(0)/2))
	setDefault(&c.PasswordQueue, 256)
	setDefault(&c.PasswordWait, 10*time.Second)
	setDefault(&c.TokenCache, 100_000)
	setDefault(&c.PollInterval, time.Second)
	setDefault(&c.PollMaxAge, 30*time.Second)
	setDefault(&c.MaintainInterval, time.Minute)
	setDefault(&c.MessageQueue, 1024)
	setDefault(&c.DrainTimeout, 10*time.Second)
	if c.Limits == nil {
		limits := DefaultLimits()
		c.Limits = &limits
	}
	c.ResendInterval = max(c.ResendInterval, 0)
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
