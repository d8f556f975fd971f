package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	connectTimeout = 5 * time.Second
	pollInterval   = 20 * time.Millisecond

	codeCannotConnectNow = "57P03"
	codeWrongPassword    = "28P01"
	codeNoDatabase       = "3D000"
)

// Attach finds the server that another process runs on the folder. The error is
// ErrNotRunning when there is none. Stopping what it returns does nothing.
func Attach(ctx context.Context, dir string) (*Server, error) {
	f, err := folderAt(dir)
	if err != nil {
		return nil, err
	}
	password, err := f.password()
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("the data folder %s belongs to another user: run as that user", f)
	}
	port := readNumber(f.file("port"))
	if err != nil || port == 0 {
		return nil, refuse(ErrNotRunning, "no server is running on the data folder %s", f)
	}
	s := &Server{folder: f, port: port, url: serverURL(port, password)}
	if err := s.waitAttached(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// waitAttached waits only for a server that says that it is starting.
func (s *Server) waitAttached(ctx context.Context) error {
	for {
		err := ping(ctx, s.url)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !isCode(err, codeCannotConnectNow):
			return refuse(ErrNotRunning, "no server is running on the data folder %s", s.folder)
		}
		if err := sleep(ctx, pollInterval); err != nil {
			return err
		}
	}
}

// AttachOrStart uses the server that runs on the folder or starts one, so that a
// command works either way. Stop ends only one that was started.
func AttachOrStart(ctx context.Context, opts Options) (*Server, error) {
	s, err := Attach(ctx, opts.Dir)
	if errors.Is(err, ErrNotRunning) {
		return Start(ctx, opts)
	}
	return s, err
}

// IsRunning says whether a server on the folder takes connections.
func IsRunning(ctx context.Context, dir string) bool {
	_, err := Attach(ctx, dir)
	return err == nil
}

// errEnded says that the server ended while it was waited for; its log says why.
var errEnded = errors.New("PostgreSQL ended")

// waitReady waits until the server takes connections, however long it recovers,
// and makes the database on the first start.
func (s *Server) waitReady(ctx context.Context) error {
	for {
		err := ping(ctx, s.url)
		switch {
		case err == nil:
			return nil
		case isCode(err, codeNoDatabase):
			err = s.createDatabase(ctx)
			if err != nil {
				return err
			}
			continue
		case isCode(err, codeWrongPassword):
			return fmt.Errorf("the password in %s is not the database's", s.folder.file("password"))
		}
		select {
		case <-s.process.exited:
			return errEnded
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollInterval):
		}
	}
}

func (s *Server) createDatabase(ctx context.Context) error {
	config, err := connConfig(s.url)
	if err != nil {
		return err
	}
	config.Database = "postgres"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("make the database: %w", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+databaseName); err != nil {
		return fmt.Errorf("make the database: %w", err)
	}
	return nil
}

func ping(ctx context.Context, url string) error {
	config, err := connConfig(url)
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

func connConfig(url string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.ConnectTimeout = connectTimeout
	return config, nil
}

func isCode(err error, code string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == code
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
