package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tillbook/tillbook/server"
	"github.com/tillbook/tillbook/server/auth"
	"github.com/tillbook/tillbook/store/embedded"
)

type serveCmd struct {
	databaseFlags

	Listen     string `name:"listen" default:"127.0.0.1:8080" help:"Address for Connect, JSON, gRPC and gRPC-Web, /metrics, /healthz and /readyz."`
	GRPCListen string `name:"grpc-listen" placeholder:"ADDRESS" help:"Address for gRPC alone, at half the cost per call; it is where terminals come in. Without it, there is no such door."`

	Sandbox bool `name:"sandbox" help:"For trying things out: SMS messages are kept to be read, money is handed out, and limits are wider. Loopback addresses only."`
	Demo    bool `name:"demo" help:"Once up, play the demo and print commands to paste. Needs --sandbox."`

	secretFlags
	SealName       string         `name:"seal-name" default:"tillbook.local/books" help:"Name of the log in which the books are sealed, such as books.example.com. It is taken when the log begins, and stays."`
	SMSWebhookURL  string         `name:"sms-webhook-url" placeholder:"URL" help:"Where SMS messages go to be sent, as a POST of {\"to\", \"text\"}. Needed without --sandbox."`
	TrustedProxies []netip.Prefix `name:"trusted-proxies" placeholder:"NETWORK" help:"Networks of the load balancers whose X-Forwarded-For is believed, such as 10.0.0.0/8."`
	TrustedTracers []netip.Prefix `name:"trusted-tracers" placeholder:"NETWORK" help:"Networks of the clients whose traces are continued, and sampled as they say, such as those of your own backends. Others' traces are linked."`
	AllowedOrigins []string       `name:"allowed-origins" placeholder:"ORIGIN" help:"Web origins whose pages may call the server, such as https://shop.example; * for all."`
	WebDir         string         `name:"web-dir" placeholder:"FOLDER" help:"Folder of a page's build to serve at /, such as examples/web/dist. Without it, there is no page."`

	AccessLife  time.Duration `name:"access-life" default:"15m" help:"How long an access token is accepted before it must be refreshed."`
	SessionLife time.Duration `name:"session-life" default:"6h" help:"How long after signing in one must sign in again."`
	Countries   []string      `name:"countries" placeholder:"CODE" help:"Countries whose phone numbers may register, such as ID,MY. Without it, all."`

	NoMigrate bool  `name:"no-migrate" help:"Leave the schema as it is. Without this, it is migrated before anything is served."`
	MaxConns  int32 `name:"max-conns" default:"20" help:"Connections to the database for calls; a replica takes some more beside them."`

	ReadDatabaseURL string        `name:"read-database-url" placeholder:"URL" help:"A standby, where statements, reports and further pages of lists are read of what can't have changed since. Without it, all is read on the primary."`
	ReadMaxLag      time.Duration `name:"read-max-lag" default:"10s" help:"How far behind the standby may be and still be read."`

	LogFormat string `name:"log-format" enum:"text,json" default:"text" help:"How the log is written, to standard error: ${enum}."`
	LogLevel  string `name:"log-level" enum:"debug,info,warn,error" default:"info" help:"From where on it is written: ${enum}."`

	serveLimits
}

// serveLimits bound what one client can cost, and how long an end takes.
type serveLimits struct {
	MaxMessageBytes int           `name:"max-message-bytes" default:"1048576" help:"Largest message that is read."`
	MaxStreams      int           `name:"max-streams" default:"1000" help:"Calls that one connection may have open."`
	CallTimeout     time.Duration `name:"call-timeout" default:"30s" help:"Deadline of calls whose client sets none."`
	MaxCallTimeout  time.Duration `name:"max-call-timeout" default:"60s" help:"Longest deadline that a client may set."`
	StreamAge       time.Duration `name:"stream-age" default:"30m" help:"After how long a stream is asked to open again, so that load spreads."`
	DrainDelay      time.Duration `name:"drain-delay" default:"0s" help:"How long a stopping server still takes calls while /readyz fails, for load balancers to notice."`
	Grace           time.Duration `name:"grace" default:"20s" help:"How long calls under way may take to end when the server stops."`
}

// Help is shown by --help.
func (serveCmd) Help() string {
	return `Without --database-url it runs a PostgreSQL of its own in --data-dir, reachable from this machine only, which stops and starts with it and keeps its data. Ctrl-C stops both in good order; a second Ctrl-C stops at once.

OpenTelemetry traces go where the standard variables say, such as OTEL_TRACES_EXPORTER=otlp and OTEL_EXPORTER_OTLP_ENDPOINT.

Examples:

    tillbook serve --sandbox
    tillbook serve --database-url postgres://tillbook@db.example.com/tillbook \
      --listen 0.0.0.0:8080 --trusted-proxies 10.0.0.0/8 --log-format json \
      --secret-file /etc/tillbook/secret --sms-webhook-url https://sms.example.com/send`
}

// Run serves until it is told to stop.
func (cmd serveCmd) Run(c *call) (err error) {
	if cmd.Demo && !cmd.Sandbox {
		return errors.New("--demo needs --sandbox: it registers people and hands out money")
	}
	config, err := cmd.config(c)
	if err != nil {
		return err
	}
	// Starting a database takes seconds: what would fail after it fails before.
	if err := config.Check(); err != nil {
		return err
	}
	if err := checkFree(c.ctx, cmd.Listen, cmd.GRPCListen); err != nil {
		return err
	}
	stopCollecting := collectLessOften()
	defer stopCollecting()
	db, err := cmd.start(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.close()) }()

	config.DatabaseURL = db.url
	if config.Secret, err = cmd.load(c.ctx, cmd.DataDir, db.private != nil); err != nil {
		return err
	}
	s, err := server.New(c.ctx, config)
	if err != nil {
		return err
	}
	defer s.Close()
	return cmd.run(c, s, db, config.Logger)
}

// run ends when the server does: at Ctrl-C, or when the database or the demo
// fails.
func (cmd serveCmd) run(c *call, s *server.Server, db *database, logger *slog.Logger) error {
	told := context.AfterFunc(c.ctx, func() { logger.Info("stopping; Ctrl-C again stops at once") })
	defer told()

	group, ctx := errgroup.WithContext(c.ctx)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	group.Go(func() error {
		defer stop()
		return s.Run(ctx)
	})
	group.Go(func() error { return db.watch(ctx) })
	if cmd.Demo {
		group.Go(func() error { return cmd.playAndStay(ctx, c.stdout, "http://"+s.Addr(), db) })
	}
	return group.Wait()
}

// start starts the private database, which must not be running for anybody else.
func (cmd serveCmd) start(c *call) (*database, error) {
	if cmd.DatabaseURL != "" {
		return &database{url: cmd.DatabaseURL}, nil
	}
	private, err := embedded.Start(c.ctx, embedded.Options{Dir: cmd.DataDir, Log: c.stderr})
	if err != nil {
		return nil, err
	}
	return &database{url: private.URL(), private: private}, nil
}

// sandboxRoom is how many times as much a sandbox's limits allow: there one
// address is many people.
const sandboxRoom = 20

func (cmd serveCmd) config(c *call) (server.Config, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cmd.LogLevel)); err != nil {
		return server.Config{}, fmt.Errorf("read --log-level: %w", err)
	}
	logger, err := server.NewLogger(c.stderr, cmd.LogFormat, level)
	if err != nil {
		return server.Config{}, err
	}
	people := auth.Config{AccessLife: cmd.AccessLife, SessionLife: cmd.SessionLife, Countries: cmd.Countries}
	if cmd.Sandbox {
		limits := auth.DefaultLimits().Times(sandboxRoom)
		people.Limits = &limits
	}
	return server.Config{
		Auth:            people,
		Listen:          cmd.Listen,
		GRPCListen:      cmd.GRPCListen,
		MaxConns:        cmd.MaxConns,
		SkipMigrate:     cmd.NoMigrate,
		ReadURL:         cmd.ReadDatabaseURL,
		ReadMaxLag:      cmd.ReadMaxLag,
		Sandbox:         cmd.Sandbox,
		SMSWebhookURL:   cmd.SMSWebhookURL,
		SealName:        cmd.SealName,
		TrustedProxies:  cmd.TrustedProxies,
		TrustedTracers:  cmd.TrustedTracers,
		AllowedOrigins:  cmd.AllowedOrigins,
		WebDir:          cmd.WebDir,
		MaxMessageBytes: cmd.MaxMessageBytes,
		MaxStreams:      cmd.MaxStreams,
		CallTimeout:     cmd.CallTimeout,
		MaxCallTimeout:  cmd.MaxCallTimeout,
		StreamAge:       cmd.StreamAge,
		DrainDelay:      cmd.DrainDelay,
		Grace:           cmd.Grace,
		Logger:          logger,
		Version:         version,
	}, nil
}

// checkFree fails if an address is taken.
func checkFree(ctx context.Context, addresses ...string) error {
	for _, address := range addresses {
		if address == "" {
			continue
		}
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		if err := listener.Close(); err != nil {
			return fmt.Errorf("listen: %w", err)
		}
	}
	return nil
}
