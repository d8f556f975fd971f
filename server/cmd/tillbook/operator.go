package main

import (
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/tillbook/tillbook/store"
)

type operatorCmd struct {
	Create operatorCreateCmd `cmd:"" help:"Make an operator and print the key, once."`
	List   operatorListCmd   `cmd:"" help:"List the operators."`
	Revoke operatorRevokeCmd `cmd:"" help:"End an operator's keys."`
}

// Help is shown by --help.
func (operatorCmd) Help() string {
	return `An operator's key opens the LedgerService: it shows every account and posts adjustments. Whoever runs these commands owns the database already.`
}

// operatorName is what operators are called by.
type operatorName struct {
	Name string `name:"name" required:"" env:"TILLBOOK_OPERATOR_NAME" placeholder:"NAME" help:"Who it is: lower-case letters, digits and . _ @ -"`
}

type operatorCreateCmd struct {
	operatorName
	databaseFlags
}

// Help is shown by --help.
func (operatorCreateCmd) Help() string {
	return `Only a hash of the key is kept, so it can't be shown again.

Example:

    export TILLBOOK_OPERATOR_KEY=$(tillbook operator create --name alice)
    curl -H "Authorization: Bearer $TILLBOOK_OPERATOR_KEY" -H 'Content-Type: application/json' \
      -d '{}' http://127.0.0.1:8080/tillbook.ledger.v1.LedgerService/GetTrialBalance`
}

// Run makes the operator. The key alone goes to standard output, so that a
// script can take it from there.
func (cmd operatorCreateCmd) Run(c *call) error {
	return cmd.withOwner(c, func(s *store.Store) error {
		operator, key, err := s.CreateOperator(c.ctx, cmd.Name)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.stderr, "Made the operator %s. This is the key; it is not shown again:\n", operator.Name)
		fmt.Fprintln(c.stdout, key)
		return nil
	})
}

type operatorListCmd struct {
	databaseFlags
}

// Run lists the operators.
func (cmd operatorListCmd) Run(c *call) error {
	return cmd.withOwner(c, func(s *store.Store) error {
		operators, err := s.Queries().ListOperators(c.ctx)
		if err != nil {
			return fmt.Errorf("list the operators: %w", err)
		}
		table := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "NAME\tCREATED\tKEYS")
		for _, o := range operators {
			fmt.Fprintf(table, "%s\t%s\t%d\n", o.Name, o.CreateTime.Format(time.DateTime), o.LiveKeys)
		}
		return table.Flush()
	})
}

type operatorRevokeCmd struct {
	operatorName
	databaseFlags
}

// Run ends the keys.
func (cmd operatorRevokeCmd) Run(c *call) error {
	return cmd.withOwner(c, func(s *store.Store) error {
		if err := s.RevokeOperator(c.ctx, cmd.Name); err != nil {
			return err
		}
		fmt.Fprintf(c.stdout, "The keys of %s open nothing any more.\n", cmd.Name)
		return nil
	})
}

// withOwner runs do on the database, with its owner's rights.
func (f databaseFlags) withOwner(c *call, do func(*store.Store) error) (err error) {
	db, err := f.openExisting(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.close()) }()

	s, err := store.Open(c.ctx, store.Config{URL: db.url, Role: store.NoRole, MaxConns: 2})
	if err != nil {
		return err
	}
	defer s.Close()
	return do(s)
}
