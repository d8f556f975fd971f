package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tillbook/tillbook/store/embedded"
)

// defaultDataDir is what the flags' tags say, too.
const defaultDataDir = ".tillbook"

// databaseFlags say which database a command works on.
type databaseFlags struct {
	DatabaseURL string `name:"database-url" placeholder:"URL" help:"PostgreSQL to use: postgres://user:password@host:port/database. Everybody on the machine sees what is typed: a password is safer in TILLBOOK_DATABASE_URL or in the file that PGPASSFILE names. Without it, Tillbook runs a private one in the data folder."`
	DataDir     string `name:"data-dir" default:".tillbook" help:"Folder of the private database."`
	PostgresBin string `name:"postgres-bin" placeholder:"FOLDER" help:"Folder of PostgreSQL's programs, for the private database. Without it, the newest that is installed."`
}

// AfterApply hands the folder to package embedded, which reads it from the
// environment.
func (f databaseFlags) AfterApply() error {
	if f.PostgresBin == "" {
		return nil
	}
	return os.Setenv(embedded.BinVariable, f.PostgresBin)
}

// database is one that can be reached until it is closed.
type database struct {
	// url is its owner's.
	url string
	// private is nil for one that --database-url names.
	private *embedded.Server
}

// open reaches the database that the flags name. It uses the private one if that
// runs already, and starts it otherwise.
func (f databaseFlags) open(c *call) (*database, error) {
	if f.DatabaseURL != "" {
		return &database{url: f.DatabaseURL}, nil
	}
	private, err := embedded.AttachOrStart(c.ctx, embedded.Options{Dir: f.DataDir, Log: c.stderr})
	if err != nil {
		return nil, err
	}
	return &database{url: private.URL(), private: private}, nil
}

// openExisting is open for commands that make no sense on an empty database.
func (f databaseFlags) openExisting(c *call) (*database, error) {
	if _, err := os.Stat(filepath.Join(f.DataDir, "data")); f.DatabaseURL == "" && errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no database in %s: make one with `tillbook serve`, or name another with --data-dir or --database-url",
			f.DataDir)
	}
	return f.open(c)
}

// watch fails if the private database ends before the context does.
func (d *database) watch(ctx context.Context) error {
	if d.private == nil {
		return nil
	}
	select {
	case <-d.private.Done():
		return errors.New("the private database ended by itself: postgres.log in the data folder says why; start again, nothing is lost")
	case <-ctx.Done():
		return nil
	}
}

// stopTimeout bounds how long the private database may write out what it holds.
const stopTimeout = time.Minute

// close stops the private database if this process started it. It does so after
// Ctrl-C too.
func (d *database) close() error {
	if d.private == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return d.private.Stop(ctx)
}

type databaseURLCmd struct {
	DataDir string `name:"data-dir" default:".tillbook" help:"Folder of the private database."`
}

// Help is shown by --help.
func (databaseURLCmd) Help() string {
	return `The database must be running, under "tillbook serve". The URL holds its owner's password: mind your shell's history.

Examples:

    psql "$(tillbook database-url)"
    pg_dump "$(tillbook database-url)" > books.sql`
}

// Run prints the URL of the private database.
func (cmd databaseURLCmd) Run(c *call) error {
	private, err := embedded.Attach(c.ctx, cmd.DataDir)
	if errors.Is(err, embedded.ErrNotRunning) {
		return fmt.Errorf("no database is running in %s: start it with `tillbook serve`, or name another with --data-dir", cmd.DataDir)
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(c.stdout, private.URL())
	return nil
}

type findPostgresCmd struct{}

// Run prints where PostgreSQL's programs are.
func (findPostgresCmd) Run(c *call) error {
	found, err := embedded.Find(c.ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.stdout, found.Bin)
	return nil
}
