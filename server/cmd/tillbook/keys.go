package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/tillbook/tillbook/server/auth"
	"github.com/tillbook/tillbook/server/replica"
	"github.com/tillbook/tillbook/server/seal"
	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
)

type keysCmd struct {
	List   keysListCmd   `cmd:"" help:"List the keys and say which can go."`
	New    keysNewCmd    `cmd:"" help:"Make a key for --secret-file."`
	Rotate keysRotateCmd `cmd:"" help:"Make the next key that signs tokens, or the log."`
	Reseal keysResealCmd `cmd:"" help:"Seal anew, with the key in use, what older keys seal."`
	Retire keysRetireCmd `cmd:"" help:"Let go of a key that isn't needed any more."`
}

// Help is shown by --help.
func (keysCmd) Help() string {
	return `There are three kinds. The secret key comes from the configuration (--secret-file, TILLBOOK_SECRET, --kms-key) and seals the others in the database. Token keys sign access tokens and hash codes; replicas make new ones every 30 days by themselves. The log's key signs the log in which the books are sealed.

To replace the secret key while everything runs:

    tillbook keys new --into /etc/tillbook/secret   # on each machine the same key: copy the file
    tillbook keys list                              # it is in use once all replicas have it in front
    tillbook keys reseal --secret-file /etc/tillbook/secret
    tillbook keys retire --secret-file /etc/tillbook/secret OLD   # a day later; then take it out of the file

The log's key is replaced by letting another sign beside it, for as long as those who verify receipts need to learn of it:

    tillbook keys rotate --kind log
    tillbook keys retire OLD                        # months later

Finish an upgrade first: replicas of a version that doesn't report its keys can't be waited for.

All of it runs with the rights of the database's owner and leaves a record in the audit.`
}

// withKeys runs do with the owner's rights and the configured keys.
func withKeys(c *call, d databaseFlags, f secretFlags, do func(*store.Store, *secret.Keys) error) (err error) {
	db, err := d.openExisting(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	keys, err := f.load(c.ctx, d.DataDir, db.private != nil)
	if err != nil {
		return err
	}
	if keys == nil {
		return errNoSecretHere
	}
	s, err := store.Open(c.ctx, store.Config{URL: db.url, Role: store.NoRole, MaxConns: 2})
	if err != nil {
		return err
	}
	defer s.Close()
	return do(s, keys)
}

type keysListCmd struct {
	databaseFlags
	secretFlags
}

// Run lists the keys.
func (cmd keysListCmd) Run(c *call) error {
	return withKeys(c, cmd.databaseFlags, cmd.secretFlags, func(s *store.Store, keys *secret.Keys) error {
		table := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "KIND\tID\tSINCE\tSTATE")
		if err := listSecretKeys(c.ctx, table, s, keys); err != nil {
			return err
		}
		tokens, err := auth.Keys(c.ctx, s)
		if err != nil {
			return err
		}
		for _, k := range tokens {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", tokenKinds[k.Kind], k.ID, k.UseTime.UTC().Format(time.DateTime), tokenState(k))
		}
		log, err := s.Queries().ListLogKeys(c.ctx)
		if err != nil {
			return fmt.Errorf("read the log's keys: %w", err)
		}
		for _, k := range log {
			state := "signs"
			if k.RetireTime != nil {
				state = "retired " + k.RetireTime.UTC().Format(time.DateTime)
			}
			fmt.Fprintf(table, "log\t%s\t%s\t%s: %s\n", id.Format(id.Key, k.ID), k.CreateTime.UTC().Format(time.DateTime), state, k.Verifier)
		}
		return table.Flush()
	})
}

var tokenKinds = map[string]string{"sign": "token", "mac": "code"}

func tokenState(k auth.KeyState) string {
	switch {
	case k.Waits:
		return "published; takes over then"
	case k.Ended:
		return "another took over; it goes by itself once what it made has expired"
	default:
		return "in use"
	}
}

func listSecretKeys(ctx context.Context, table *tabwriter.Writer, s *store.Store, keys *secret.Keys) error {
	states, err := replica.KeyStates(ctx, s, keys)
	if err != nil {
		return err
	}
	for _, k := range states {
		since := "-"
		if !k.Used.IsZero() {
			since = k.Used.UTC().Format(time.DateTime)
		}
		fmt.Fprintf(table, "secret\t%s\t%s\t%s\n", k.ID, since, secretState(k, time.Now()))
	}
	return nil
}

// secretState says where a key stands and what is to be done about it.
func secretState(k replica.KeyState, now time.Time) string {
	switch {
	case k.InUse && k.Sealed < 0:
		return fmt.Sprintf("in use, listed by %d replicas, but not given to this command: name its file with --secret-file", k.Replicas)
	case k.InUse:
		return fmt.Sprintf("in use; seals %d, listed by %d replicas", k.Sealed, k.Replicas)
	case !k.Retired.IsZero() && k.Replicas > 0:
		return fmt.Sprintf("retired, but still listed by %d replicas: take it out of their configuration", k.Replicas)
	case !k.Retired.IsZero():
		return "retired " + k.Retired.UTC().Format(time.DateTime)
	case k.Used.IsZero():
		return fmt.Sprintf("new, listed by %d replicas; in use once it is the first of all", k.Replicas)
	case k.Sealed < 0:
		return "can't be told: give this command all keys, with --secret-file"
	case k.Sealed > 0:
		return fmt.Sprintf("still seals %d: run `tillbook keys reseal`", k.Sealed)
	case now.Before(k.Free):
		return "seals nothing; can be retired from " + k.Free.UTC().Format(time.DateTime)
	default:
		return "can be dropped: run `tillbook keys retire " + k.ID + "`"
	}
}

type keysNewCmd struct {
	KMSKey string `name:"kms-key" placeholder:"URI" help:"Have this key of a Vault or OpenBao encrypt it."`
	Into   string `name:"into" placeholder:"FILE" help:"Put it in front of the keys in this file, rather than print it. A file that isn't there is made."`
}

// Run makes the key.
func (cmd keysNewCmd) Run(c *call) error {
	word, err := secretFlags{KMSKey: cmd.KMSKey}.fresh()
	if err != nil {
		return err
	}
	if cmd.Into == "" {
		fmt.Fprintln(c.stdout, word)
		return nil
	}
	if err := secret.File(cmd.Into).Prepend(word); err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "Put a new key in front of %s.\n", cmd.Into)
	return nil
}

type keysRotateCmd struct {
	Kind string        `name:"kind" enum:"token,log" default:"token" help:"Which key: ${enum}."`
	Lead time.Duration `name:"lead" default:"10m" help:"How long a token key is published before it signs. Whoever reads /.well-known/jwks.json may keep it for five minutes."`
	databaseFlags
	secretFlags
}

// Run makes the next key.
func (cmd keysRotateCmd) Run(c *call) error {
	return withKeys(c, cmd.databaseFlags, cmd.secretFlags, func(s *store.Store, keys *secret.Keys) error {
		if cmd.Kind == "log" {
			if err := seal.Rotate(c.ctx, s, keys); err != nil {
				return err
			}
			fmt.Fprintln(c.stdout, "The log has another key; both sign from now on. Tell those who verify receipts of it: /log-key shows both.")
			return nil
		}
		use, err := auth.Rotate(c.ctx, s, keys, cmd.Lead)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.stdout, "The next keys are published, and used from %s UTC on.\n", use.UTC().Format(time.DateTime))
		return nil
	})
}

type keysResealCmd struct {
	databaseFlags
	secretFlags
}

// Run seals anew.
func (cmd keysResealCmd) Run(c *call) error {
	return withKeys(c, cmd.databaseFlags, cmd.secretFlags, func(s *store.Store, keys *secret.Keys) error {
		n, err := replica.Reseal(c.ctx, s, keys)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.stdout, "Sealed %d anew; all is sealed with the key %s.\n", n, keys.InUse())
		return nil
	})
}

type keysRetireCmd struct {
	ID    string `arg:"" help:"The key, as \"tillbook keys list\" shows it."`
	Force bool   `name:"force" help:"Do so before the time that the list says, as for a key that was stolen: limits begin anew, and activation and payment codes that were handed out are of no use. Do so, too, although a replica lacks the key in use: the codes that it makes are then of no use elsewhere, and its limits are its own."`
	databaseFlags
	secretFlags
}

// Run lets go of the key.
func (cmd keysRetireCmd) Run(c *call) error {
	return withKeys(c, cmd.databaseFlags, cmd.secretFlags, func(s *store.Store, keys *secret.Keys) error {
		err := cmd.retire(c.ctx, s, keys)
		if err == nil {
			fmt.Fprintf(c.stdout, "The key %s is retired.\n", cmd.ID)
		}
		return err
	})
}

func (cmd keysRetireCmd) retire(ctx context.Context, s *store.Store, keys *secret.Keys) error {
	if _, err := id.Parse(id.Key, cmd.ID); err != nil {
		return replica.Retire(ctx, s, keys, cmd.ID, cmd.Force)
	}
	err := auth.RetireKey(ctx, s, cmd.ID)
	if errors.Is(err, auth.ErrKeyUnknown) {
		return seal.RetireKey(ctx, s, cmd.ID)
	}
	return err
}
