package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/embedded"
)

type demoCmd struct {
	databaseFlags
	URL         string `name:"url" default:"http://127.0.0.1:8080" help:"Where the server is. It must run with --sandbox."`
	OperatorKey string `name:"operator-key" placeholder:"KEY" help:"Operator's key for the last step, in which the books are verified. Without it one is made for the time, if the private database runs here."`
}

// Help is shown by --help.
func (demoCmd) Help() string {
	return `Two people register with the codes from their SMS, one is funded and pays the other, who watches it arrive; the same payment is sent again and moves nothing; one that is too large is refused; the books are verified. Everything goes through the public API by way of the Go SDK, and the demo fails if any answer isn't what it should be. Each time it is two new people.

Examples:

    tillbook serve --sandbox &
    tillbook demo`
}

// Run plays the story.
func (cmd demoCmd) Run(c *call) (err error) {
	key := cmd.OperatorKey
	if key == "" {
		operator, err := cmd.hireHere(c)
		if err != nil {
			return err
		}
		if operator != nil {
			defer func() { err = errors.Join(err, operator.dismiss()) }()
			key = operator.key
		}
	}
	s := &story{out: c.stdout, url: cmd.URL, operatorKey: key}
	defer s.close()
	return s.play(c.ctx)
}

// hireHere makes an operator in the database that the flags name, if that runs.
func (cmd demoCmd) hireHere(c *call) (*temporaryOperator, error) {
	if cmd.DatabaseURL != "" {
		return hire(c.ctx, cmd.DatabaseURL)
	}
	private, err := embedded.Attach(c.ctx, cmd.DataDir)
	if errors.Is(err, embedded.ErrNotRunning) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return hire(c.ctx, private.URL())
}

// temporaryOperator has a key until it is dismissed.
type temporaryOperator struct {
	key   string
	name  string
	store *store.Store
}

// hire makes an operator with a name of its own, since a name is used once.
func hire(ctx context.Context, url string) (*temporaryOperator, error) {
	s, err := store.Open(ctx, store.Config{URL: url, Role: store.NoRole, MaxConns: 1})
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("demo-%s-%s", time.Now().UTC().Format("20060102-150405"), randomDigits(12))
	_, key, err := s.CreateOperator(ctx, name)
	if err != nil {
		s.Close()
		return nil, err
	}
	return &temporaryOperator{key: key, name: name, store: s}, nil
}

// dismiss ends the key, also after Ctrl-C.
func (o *temporaryOperator) dismiss() error {
	defer o.store.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return o.store.RevokeOperator(ctx, o.name)
}
