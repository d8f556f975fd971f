package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/multitracer"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	pgxuuid "github.com/vgarvardt/pgx-google-uuid/v5"
)

// AppRole is the role that serves traffic. The migrations create it and grant
// it what it may do.
const AppRole = "tillbook_app"

// NoRole, as Config.Role, keeps the rights of the login role: for the commands
// of an owner.
const NoRole = "-"

// Config says how to reach PostgreSQL.
type Config struct {
	// URL is a connection string in either of PostgreSQL's forms. Any setting
	// that it gives itself (application_name, lock_timeout, pool_max_conns,
	// connect_timeout, target_session_attrs, ...) wins over the defaults here.
	URL string

	// MaxConns bounds the pool. Default: pool_max_conns of the URL, else 20.
	MaxConns int32

	// Role is taken on by every connection. Default: AppRole. NoRole for none.
	Role string

	// Inspect takes a primary that is set to take no writes, too, whatever the URL
	// says: for those who look what is wrong with it.
	Inspect bool

	// Tracer sees every statement. Default: none.
	Tracer pgx.QueryTracer
}

// Store is a pool of connections to one Tillbook database. It is safe for
// concurrent use.
type Store struct {
	// Pool is for what Queries can't express: pipelines, COPY, numeric.
	Pool *pgxpool.Pool

	queries *Queries
	config  Config
}

// Open connects to a migrated database. It fails at once when the database can't
// be reached, and with ErrSchemaOld when it is not migrated as far as this
// version needs. The context bounds only the opening.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	poolConfig, err := poolConfig(cfg)
	if err != nil {
		return nil, err
	}
	s, err := open(ctx, poolConfig)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	if err := s.checkSchema(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("open the database: %w", err)
	}
	s.config = cfg
	return s, nil
}

// open makes a pool and has its connections follow the primary.
func open(ctx context.Context, config *pgxpool.Config) (*Store, error) {
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	Follow(pool)
	return &Store{Pool: pool, queries: New(translating{single{pool}})}, nil
}

// Beside opens another pool on the same database, with connections of its own: what
// uses it is not kept waiting by what uses s. It connects when it is used first.
// Params are run-time parameters of its sessions.
func (s *Store) Beside(ctx context.Context, maxConns int32, params map[string]string) (*Store, error) {
	config := s.Pool.Config()
	config.MaxConns = maxConns
	maps.Copy(config.ConnConfig.RuntimeParams, params)
	beside, err := open(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open a pool beside another: %w", err)
	}
	beside.config = s.config // for a standby of it
	return beside, nil
}

// Close waits until every connection is back and closes them.
func (s *Store) Close() { s.Pool.Close() }

// Queries returns the statements, each to run on a connection of the pool.
func (s *Store) Queries() *Queries { return s.queries }

// Ping says whether the database answers.
func (s *Store) Ping(ctx context.Context) error { return s.Pool.Ping(ctx) }

const (
	defaultMaxConns       = 20
	defaultConnectTimeout = 5 * time.Second
	// manyConnectTimeout is how long each of several hosts is waited for: one that
	// vanished must leave time for the next.
	manyConnectTimeout = 2 * time.Second
	pingTimeout        = 2 * time.Second
)

// sessionDefaults bound what a session may keep others waiting for. They never
// strike a COMMIT: it takes no heavyweight lock and isn't idle. There is no
// statement_timeout among them because that one would; see InTx.
var sessionDefaults = map[string]string{
	"application_name":                    "tillbook",
	"lock_timeout":                        "10s",
	"idle_in_transaction_session_timeout": "60s",

	// A client that vanished without a word is noticed within a minute, and its
	// locks are freed.
	"tcp_keepalives_idle":     "30",
	"tcp_keepalives_interval": "10",
	"tcp_keepalives_count":    "3",
}

func poolConfig(cfg Config) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("read the database URL: %w", err)
	}
	if cfg.MaxConns > 0 {
		config.MaxConns = cfg.MaxConns
	} else if !setsMaxConns(cfg.URL) {
		config.MaxConns = defaultMaxConns
	}
	config.MaxConnLifetime = 30 * time.Minute
	config.MaxConnLifetimeJitter = 3 * time.Minute
	config.MaxConnIdleTime = 5 * time.Minute
	config.HealthCheckPeriod = 30 * time.Second

	conn := config.ConnConfig
	followed := &failover{}
	conn.Tracer = withTracer(followed, cfg.Tracer)
	PingWithin(config, pingTimeout)
	if cfg.Inspect {
		conn.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	}
	setDefaults(conn)
	conn.OnNotice = rememberWarning
	role := cfg.Role
	if role == "" {
		role = AppRole
	}
	config.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
		followed.made(c.PgConn())
		return prepareConn(ctx, c, role)
	}
	neverCancelCommits(config)
	return config, nil
}

func setDefaults(conn *pgx.ConnConfig) {
	for name, value := range sessionDefaults {
		if _, given := conn.RuntimeParams[name]; !given {
			conn.RuntimeParams[name] = value
		}
	}
	if conn.ConnectTimeout == 0 {
		conn.ConnectTimeout = defaultConnectTimeout
		if len(conn.Fallbacks) > 0 {
			conn.ConnectTimeout = manyConnectTimeout
		}
	}
	// Among several hosts the one that takes writes is meant; a standby reached by
	// mistake is an error now rather than at the first write.
	if conn.ValidateConnect == nil {
		conn.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	dialer := &net.Dialer{Control: giveUpSilence, KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3,
	}}
	conn.DialFunc = dialer.DialContext
}

// prepareConn gives a new connection its role, and makes it read times in UTC and ids
// as they are rather than by way of their texts.
func prepareConn(ctx context.Context, c *pgx.Conn, role string) error {
	pgxuuid.Register(c.TypeMap())
	c.TypeMap().RegisterType(&pgtype.Type{
		Name:  "timestamptz",
		OID:   pgtype.TimestamptzOID,
		Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
	if role == NoRole {
		return nil
	}
	_, err := c.Exec(ctx, "SET ROLE "+pgx.Identifier{role}.Sanitize())
	if isCode(err, codeUndefinedObject, codeInvalidParameter) {
		return fmt.Errorf("%w: it has no role %s", ErrSchemaOld, role)
	}
	if err != nil {
		return fmt.Errorf("take on the role %s: %w", role, err)
	}
	return nil
}

func setsMaxConns(url string) bool {
	config, err := pgx.ParseConfig(url)
	return err == nil && config.RuntimeParams["pool_max_conns"] != ""
}

func withTracer(own *failover, other pgx.QueryTracer) pgx.QueryTracer {
	if other == nil {
		return own
	}
	return both{multitracer.New(own, other), own}
}

// ErrSchemaOld says that the database lacks migrations that this version needs.
var ErrSchemaOld = errors.New("the database is not migrated: run `tillbook migrate`")
