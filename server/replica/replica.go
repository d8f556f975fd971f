package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/audit"
	"github.com/tillbook/tillbook/store/id"
)

// Config says who a replica is. Store and Keys are required.
type Config struct {
	Store *store.Store
	// Keys are what its configuration holds. Which of them is in use is set here.
	Keys *secret.Keys
	// Name is what people call it, such as its host and address.
	Name string
	// Version is that of the program.
	Version string
	// Sandbox says whether it hands out money.
	Sandbox bool
	// MaxConns is how many connections to the database it may open in all.
	MaxConns int32
	// Interval is how often it says that it is there. Default 2 s.
	Interval time.Duration
	// Clock is its own. Default time.Now.
	Clock func() time.Time
	// Logger gets what an operator should know. Default: nothing is logged.
	Logger *slog.Logger
}

// Live is for how long a replica that was seen counts as there.
const Live = 15 * time.Second

const (
	beatTimeout  = 10 * time.Second
	leaveTimeout = 2 * time.Second
	// forgetEvery is how many beats pass between two looks for the dead.
	forgetEvery = 500
)

// Replica is one among several. Run must run beside it.
type Replica struct {
	cfg Config
	id  uuid.UUID
	// complaint is what was last logged, so that it is logged once.
	complaint string
}

// Reasons for which a replica doesn't start.
var (
	ErrSandboxKey = errors.New("this is the sandbox's key, which everybody knows; outside the sandbox make one with `tillbook keys new`")
	ErrSandbox    = errors.New("secrets in this database are sealed with the sandbox's key, which everybody knows: use another database, or serve this one with --sandbox")
	ErrLacksKey   = errors.New("the key that is in use on this database isn't among those configured")
)

// Join says that a replica is there and takes the key that is in use. It fails with
// ErrSandboxKey, ErrSandbox or ErrLacksKey if it must not serve.
func Join(ctx context.Context, cfg Config) (*Replica, error) {
	if cfg.Interval <= 0 {
		cfg.Interval = 2 * time.Second
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Replica{cfg: cfg, id: id.New()}
	if !cfg.Sandbox {
		if err := refuseSandbox(ctx, cfg.Store, cfg.Keys); err != nil {
			return nil, err
		}
	}
	if err := r.beat(ctx); err != nil {
		r.leave()
		return nil, err
	}
	return r, nil
}

func refuseSandbox(ctx context.Context, s *store.Store, keys *secret.Keys) error {
	if keys.Has(secret.SandboxID) {
		return fmt.Errorf("%s: %w", keys.Source(), ErrSandboxKey)
	}
	sealed, err := SealedBySandbox(ctx, s)
	if err == nil && sealed > 0 {
		err = ErrSandbox
	}
	return err
}

// SealedBySandbox counts the secrets that the sandbox's key opens.
func SealedBySandbox(ctx context.Context, s *store.Store) (n int, err error) {
	rows, err := s.Queries().ListSealedRows(ctx)
	if err != nil {
		return 0, fmt.Errorf("read what is sealed: %w", err)
	}
	sandbox := secret.Sandbox()
	for _, row := range rows {
		if _, err := sandbox.Open(sealedRow(row), row.SealedKey); err == nil {
			n++
		}
	}
	return n, nil
}

func sealedRow(row store.ListSealedRowsRow) secret.Row {
	return secret.Row{Table: row.TableName, Column: "sealed_key", ID: row.ID}
}

// Run says that the replica is there until ctx ends, then that it is gone.
func (r *Replica) Run(ctx context.Context) {
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			r.leave()
			return
		case <-time.After(r.cfg.Interval*3/4 + rand.N(r.cfg.Interval/2)):
		}
		err := r.reload(ctx)
		if beatErr := r.beat(ctx); err == nil {
			err = beatErr
		}
		if err == nil && n%forgetEvery == 0 {
			err = r.cfg.Store.Queries().DeleteDeadReplicas(ctx)
		}
		if ctx.Err() == nil {
			r.complain(err)
		}
	}
}

// complain logs an error once, until there is another or none.
func (r *Replica) complain(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != r.complaint {
		r.cfg.Logger.Error("the keys can't be followed; those that are held stay", "error", err)
	}
	r.complaint = text
}

func (r *Replica) reload(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	changed, err := r.cfg.Keys.Reload(ctx)
	if changed {
		r.cfg.Logger.InfoContext(ctx, "the configured keys changed", "keys", r.cfg.Keys.Listed(), "in_use", r.cfg.Keys.InUse())
	}
	return err
}

func (r *Replica) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	_ = r.cfg.Store.Queries().DeleteReplica(ctx, r.id) // It ages, too.
}

// beat says that the replica is there, and agrees with the others on the key in use.
func (r *Replica) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	var rows []store.SecretKey
	var use string
	err := r.cfg.Store.InTx(ctx, func(ctx context.Context, q *store.Queries, _ pgx.Tx) (err error) {
		if err := q.LockKeys(ctx); err != nil {
			return err
		}
		err = q.PutReplica(ctx, store.PutReplicaParams{
			ID: r.id, Name: r.cfg.Name, Version: r.cfg.Version, Sandbox: r.cfg.Sandbox,
			MaxConns: r.cfg.MaxConns, Keys: r.cfg.Keys.Listed(), ClockTime: r.cfg.Clock().UTC(),
		})
		if err != nil {
			return err
		}
		if rows, err = q.ListSecretKeys(ctx); err != nil {
			return err
		}
		replicas, err := q.ListReplicas(ctx, Live.Seconds())
		if err != nil {
			return err
		}
		var change bool
		if use, change = agree(rows, replicas); !change {
			return nil
		}
		if err := q.EndSecretKeys(ctx); err != nil {
			return err
		}
		if err := q.UseSecretKey(ctx, use); err != nil {
			return err
		}
		return q.Record(ctx, audit.New(audit.Actor{Kind: audit.System}, "key.used", "key/"+use, map[string]string{"kind": "secret"}))
	})
	if err != nil {
		return fmt.Errorf("agree on the keys: %w", err)
	}
	return r.follow(rows, use)
}

// agree decides which key is in use, and whether that is a change: the one that all
// replicas list first, as long as they list the one before as well, or else the one
// that is.
func agree(rows []store.SecretKey, replicas []store.Replica) (use string, change bool) {
	first := replicas[0].Keys[0]
	if len(rows) == 0 {
		return first, true
	}
	for _, other := range replicas {
		if other.Keys[0] != first || !slices.Contains(other.Keys, rows[0].ID) {
			return rows[0].ID, false
		}
	}
	retired := slices.ContainsFunc(rows, func(k store.SecretKey) bool { return k.ID == first && k.RetireTime != nil })
	if retired || first == rows[0].ID {
		return rows[0].ID, false
	}
	return first, true
}

// follow does with the keys that are held what was agreed.
func (r *Replica) follow(rows []store.SecretKey, use string) error {
	before := r.cfg.Keys.InUse()
	if !r.cfg.Keys.Use(use) {
		return fmt.Errorf("%w: put the key %s back into %s, behind the new one, until `tillbook keys retire %s` says that it isn't needed",
			ErrLacksKey, use, r.cfg.Keys.Source(), use)
	}
	if before != use {
		r.cfg.Logger.Info("another key is in use", "key", use, "before", before)
	}
	for _, row := range rows {
		if row.RetireTime != nil && r.cfg.Keys.Drop(row.ID) {
			r.cfg.Logger.Warn("a key is retired; take it out of the configuration", "key", row.ID, "from", r.cfg.Keys.Source())
		}
	}
	return nil
}
