package storetest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/migrations"
)

// URLVariable is the environment variable that hands over a server: the URL of a
// superuser.
const URLVariable = "TILLBOOK_TEST_DATABASE_URL"

const setupTimeout = 2 * time.Minute

// cluster is the server that the databases of this process are on.
type cluster struct {
	url string

	// One connection makes and drops databases for the whole process.
	mu       sync.Mutex
	admin    *pgx.Conn
	template string
	strategy string
}

// shared is made by the first test that asks and lives as long as the process.
var shared = sync.OnceValues(func() (*cluster, error) {
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	address := os.Getenv(URLVariable)
	if address == "" {
		server, err := StartShared(ctx)
		if err != nil {
			return nil, err
		}
		address = server.URL()
	}
	return connect(ctx, address)
})

func connect(ctx context.Context, address string) (*cluster, error) {
	c := &cluster{url: address}
	var err error
	if c.admin, err = pgx.Connect(ctx, c.databaseURL("postgres")); err != nil {
		return nil, fmt.Errorf("connect to the test server: %w", err)
	}
	version := c.admin.PgConn().ParameterStatus("server_version")
	if major, _ := strconv.Atoi(strings.Split(version, ".")[0]); major >= 15 {
		// Faster than the default, and the only way before 15.
		c.strategy = "STRATEGY FILE_COPY"
	}
	if c.template, err = c.ensureTemplate(ctx); err != nil {
		return nil, fmt.Errorf("make the template database: %w", err)
	}
	return c, nil
}

// databaseURL is the server's URL with another database.
func (c *cluster) databaseURL(name string) string {
	u, err := url.Parse(c.url)
	if err != nil {
		return c.url
	}
	u.Path = "/" + name
	return u.String()
}

// templateLock keeps test processes that share a server from making the same
// template together.
const templateLock = 0x7111B7E5

// ensureTemplate returns the name of a migrated database that nobody connects
// to. The name tells the migrations, so it is there only when it is complete.
func (c *cluster) ensureTemplate(ctx context.Context) (name string, err error) {
	hash, err := migrationsHash()
	if err != nil {
		return "", err
	}
	name = "tillbook_template_" + hash
	if _, err := c.admin.Exec(ctx, "SELECT pg_advisory_lock($1)", templateLock); err != nil {
		return "", err
	}
	defer func() {
		_, unlockErr := c.admin.Exec(ctx, "SELECT pg_advisory_unlock($1)", templateLock)
		err = errors.Join(err, unlockErr)
	}()
	var exists bool
	err = c.admin.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists)
	if err != nil || exists {
		return name, err
	}
	return name, c.makeTemplate(ctx, name)
}

func (c *cluster) makeTemplate(ctx context.Context, name string) error {
	unfinished := name + "_unfinished"
	if err := c.exec(ctx, "DROP DATABASE IF EXISTS %s WITH (FORCE)", unfinished); err != nil {
		return err
	}
	if err := c.exec(ctx, "CREATE DATABASE %s", unfinished); err != nil {
		return err
	}
	if _, _, err := store.Migrate(ctx, c.databaseURL(unfinished)); err != nil {
		return err
	}
	if err := c.exec(ctx, "ALTER DATABASE %s WITH ALLOW_CONNECTIONS false", unfinished); err != nil {
		return err
	}
	return c.exec(ctx, "ALTER DATABASE %s RENAME TO %s", unfinished, name)
}

// clone makes a database as the template is and returns its name.
func (c *cluster) clone(ctx context.Context) (string, error) {
	return c.createFrom(ctx, c.template)
}

// create makes an empty database and returns its name.
func (c *cluster) create(ctx context.Context) (string, error) {
	return c.createFrom(ctx, "template0")
}

func (c *cluster) createFrom(ctx context.Context, template string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := "test_" + strings.ToLower(rand.Text())
	return name, c.exec(ctx, "CREATE DATABASE %s TEMPLATE %s "+c.strategy, name, template)
}

func (c *cluster) drop(ctx context.Context, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	// Sessions end a moment after their client has left, and DROP would sleep for
	// a tenth of a second on meeting one.
	for range 20 {
		var sessions int
		err := c.admin.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE datname = $1", name).Scan(&sessions)
		if err != nil || sessions == 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	return c.exec(ctx, "DROP DATABASE IF EXISTS %s WITH (FORCE)", name)
}

// exec runs a statement with database names in it.
func (c *cluster) exec(ctx context.Context, format string, names ...string) error {
	quoted := make([]any, len(names))
	for i, name := range names {
		quoted[i] = pgx.Identifier{name}.Sanitize()
	}
	_, err := c.admin.Exec(ctx, fmt.Sprintf(format, quoted...))
	return err
}

// migrationsHash tells one set of migrations from another.
func migrationsHash() (string, error) {
	hash := sha256.New()
	err := fs.WalkDir(migrations.FS, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(migrations.FS, path)
		fmt.Fprintf(hash, "%s %d\n%s", path, len(text), text)
		return err
	})
	return hex.EncodeToString(hash.Sum(nil))[:16], err
}
