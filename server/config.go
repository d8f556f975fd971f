package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/tillbook/tillbook/server/auth"
	"github.com/tillbook/tillbook/server/rpc"
	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/server/terminal"
	"github.com/tillbook/tillbook/server/web"
	"github.com/tillbook/tillbook/store/ledger"
)

// Config says how a replica serves. Its zero value lacks only DatabaseURL.
type Config struct {
	// Listen is the address for Connect, gRPC and gRPC-Web, the probes and the
	// metrics. Default "127.0.0.1:8080". Port 0 takes a free one.
	Listen string
	// GRPCListen is the address of the native gRPC door. Default: no such door.
	GRPCListen string

	// DatabaseURL is where the books are: a PostgreSQL connection string of the
	// owner of the database, or, with SkipMigrate, of any role that may take on
	// the role tillbook_app. Required.
	DatabaseURL string
	// MaxConns bounds the connections for calls. Default 20. A replica takes a quarter
	// of that more for history, 9 for jobs and events, and one for each of the ledger's
	// committers, which after a fault may be up to 8 each for a moment.
	MaxConns int32
	// ReadURL leads to one standby, where statements, reports and further pages of
	// lists are read of what can't have changed since. Default: the primary.
	ReadURL string
	// ReadMaxLag is how far behind the standby may be and still be read. Default 10 s.
	ReadMaxLag time.Duration
	// SkipMigrate leaves the schema as it is. Default: New migrates it.
	SkipMigrate bool
	// Secret opens what is sealed in the database, such as the keys that sign
	// tokens. It must be the same on all replicas, but for moments while it changes;
	// package replica says how. Required unless Sandbox is set, where the default is
	// one that everybody knows.
	Secret *secret.Keys
	// ReplicaInterval is how often the replica tells the others that it is there, and
	// looks whether the configured keys changed. Default 2 s.
	ReplicaInterval time.Duration
	// SealName is the name of the log in which the books are sealed, such as
	// "books.example.com". Its key is made under this name once and keeps it.
	// Default "tillbook.local/books".
	SealName string
	// Ledger tunes the ledger. Its Logger and TracerProvider are set by New.
	// Default: the ledger's own defaults.
	Ledger ledger.Config

	// Auth tunes how people sign in. Default: the auth service's own defaults.
	Auth auth.Config

	// Terminal tunes the sessions of terminals. Default: the terminal service's own
	// defaults.
	Terminal terminal.Config

	// Sandbox registers SandboxService, which hands out money and shows the SMS
	// messages that were "sent". Refused unless every address is a loopback one.
	// Default: off.
	Sandbox bool
	// SMSWebhookURL gets each SMS message as a JSON POST of {"to", "text"}.
	// Required unless Sandbox is set.
	SMSWebhookURL string

	// TrustedProxies are the peers whose X-Forwarded-For and X-Request-Id are
	// believed. Default: none.
	TrustedProxies []netip.Prefix
	// TrustedTracers are the clients whose traces are continued and sampled as they
	// say; others' are linked. With proxies in between, it is the client that
	// X-Forwarded-For names that counts. Default: none.
	TrustedTracers []netip.Prefix
	// AllowedOrigins are the web origins, such as "https://shop.example", whose
	// pages may call the server; "*" allows all. Default: none.
	AllowedOrigins []string
	// WebDir is the folder of a browser application's build, such as
	// examples/web/dist, to serve at "/". Default: none.
	WebDir string

	// Room is how much is done at once before calls are turned away. Default: its own
	// defaults.
	Room rpc.Room
	// Limits say how often one caller may do something. Default: DefaultLimits, and in
	// a sandbox 1,000 times as much.
	Limits *Limits
	// MaxConnections is how many connections each door has open; further ones wait
	// to be taken. Default: two fifths of the files that the process may open, and
	// at most 50,000.
	MaxConnections int
	// MaxMessageBytes is the largest message that is read, also after it is
	// decompressed. Default 1 MiB.
	MaxMessageBytes int
	// MaxStreams is how many calls one connection may have open. Default 1,000.
	MaxStreams int
	// CallTimeout is the deadline of calls whose client sets none. Default 30 s.
	CallTimeout time.Duration
	// MaxCallTimeout is the longest deadline that a client may set. Default 60 s.
	MaxCallTimeout time.Duration
	// StreamAge is how long a stream, or a connection of the native door, stays
	// open, give or take a tenth. Default 30 minutes.
	StreamAge time.Duration

	// DrainDelay is how long a stopping replica still takes new calls while
	// /readyz already fails, so that load balancers notice. Default: none.
	DrainDelay time.Duration
	// Grace is how long calls under way may take to end. Default 20 s.
	Grace time.Duration

	// Clock is this machine's. What judges by time goes by the database's, from which
	// this one may differ. Default: time.Now.
	Clock func() time.Time
	// Logger gets what an operator should know. Default: slog.Default().
	Logger *slog.Logger
	// Version is what traces and metrics call this build. Default "dev".
	Version string
}

// DefaultListen is where a server listens if it isn't told otherwise.
const DefaultListen = "127.0.0.1:8080"

func (c *Config) setDefaults() {
	setDefault(&c.Listen, DefaultListen)
	setDefault(&c.MaxMessageBytes, 1<<20)
	setDefault(&c.MaxStreams, 1000)
	setDefault(&c.CallTimeout, 30*time.Second)
	setDefault(&c.MaxCallTimeout, 60*time.Second)
	setDefault(&c.StreamAge, 30*time.Minute)
	setDefault(&c.Grace, 20*time.Second)
	setDefault(&c.Version, "dev")
	setDefault(&c.SealName, "tillbook.local/books")
	setDefault(&c.MaxConnections, defaultConnections())
	if c.Limits == nil {
		limits := DefaultLimits()
		if c.Sandbox {
			limits = limits.Times(sandboxRoom)
		}
		c.Limits = &limits
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	c.Logger = slog.New(contextual(c.Logger.Handler()))
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Check refuses what can't work or must not be, but for DatabaseURL and Secret,
// which may come later than the rest. New checks it all.
func (c Config) Check() error {
	if !c.Sandbox && c.SMSWebhookURL == "" {
		return errNoGateway
	}
	if c.SMSWebhookURL != "" {
		if _, err := auth.NewWebhook(c.SMSWebhookURL); err != nil {
			return fmt.Errorf("--sms-webhook-url: %w", err)
		}
	}
	if _, err := c.site(); err != nil {
		return err
	}
	if c.Sandbox {
		for _, addr := range []string{c.Listen, c.GRPCListen} {
			if addr != "" && !isLoopback(addr) {
				return fmt.Errorf("%w: %s is open to others; use an address such as 127.0.0.1:8080", errOpenSandbox, addr)
			}
		}
	}
	return nil
}

// site reads the page that is to be served; it is nil if there is none.
func (c Config) site() (*web.Site, error) {
	if c.WebDir == "" {
		return nil, nil
	}
	site, err := web.New(os.DirFS(c.WebDir))
	if err != nil {
		return nil, fmt.Errorf("--web-dir %s: %w", c.WebDir, err)
	}
	return site, nil
}

// isLoopback says whether only this machine reaches the address. A name other
// than localhost doesn't count: what it resolves to may change.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

var (
	errNoDatabase  = errors.New("no database: give its connection string with --database-url")
	errNoSecret    = errors.New("no secret key: name a file that holds one with --secret-file (`tillbook keys new` makes one), or put the key itself in TILLBOOK_SECRET; it must be the same on all replicas")
	errNoGateway   = errors.New("no way to send SMS messages: name a gateway with --sms-webhook-url, or use --sandbox to try things out")
	errOpenSandbox = errors.New("sandbox mode hands out money and shows SMS codes, so it listens only on a loopback address")
)

// checkSecrets fills in what only the sandbox may do without.
func (c *Config) checkSecrets() error {
	if c.DatabaseURL == "" {
		return errNoDatabase
	}
	switch {
	case c.Secret == nil && !c.Sandbox:
		return errNoSecret
	case c.Secret == nil:
		c.Secret = secret.Sandbox()
	}
	return nil
}
