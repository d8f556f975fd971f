package main

import (
	"errors"
	"fmt"

	"github.com/tillbook/tillbook/store"
)

type migrateCmd struct {
	databaseFlags
}

// Help is shown by --help.
func (migrateCmd) Help() string {
	return `"tillbook serve" does this by itself when it starts, unless --no-migrate tells it not to. The role in --database-url must own the database. Migrations keep the version before them working, so that both can serve at once during an upgrade; running this twice, or on several machines at once, does no harm.

Example:

    tillbook migrate --database-url postgres://owner@db.example.com/tillbook`
}

// Run migrates and says from where to where.
func (cmd migrateCmd) Run(c *call) (err error) {
	db, err := cmd.open(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.close()) }()

	from, to, err := store.Migrate(c.ctx, db.url)
	if err != nil {
		return err
	}
	if from == to {
		fmt.Fprintf(c.stdout, "The schema is at version %d; there is nothing to do.\n", to)
	} else {
		fmt.Fprintf(c.stdout, "Migrated the schema from version %d to %d.\n", from, to)
	}
	return nil
}
