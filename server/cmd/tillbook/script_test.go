package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tillbook/tillbook/store/embedded"
	"github.com/tillbook/tillbook/store/storetest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tillbook": main})
}

// TestScripts runs the command as people do. Each script has a data folder of
// its own in $DATA, and beside what testscript brings:
//
//	freeport NAME            puts an address on which nothing listens into $NAME
//	listen NAME              the same, but listens on it until the script ends
//	[!] ready ADDRESS        waits until a server there says that it is ready, or not
//	exits CODE PROGRAM ARGS  is exec for a program that ends with that code
//	sql STATEMENT            runs it where `tillbook database-url` points
//	pick NAME PATTERN        puts what a pattern's group finds in stdout into $NAME
//	eventually PATTERN PROGRAM ARGS  runs it until its stdout matches
//	database                 makes a migrated database in $DATA, faster than a server does
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		Setup:               setUpScript,
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"freeport":   freeport,
			"listen":     listen,
			"ready":      ready,
			"exits":      exits,
			"sql":        sql,
			"pick":       pickOut,
			"eventually": eventually,
			"database":   makeDatabase,
		},
	})
}

func setUpScript(env *testscript.Env) error {
	// Not in $WORK: only this user may enter that, and PostgreSQL runs as another
	// where this one is root.
	parent, err := os.MkdirTemp(storetest.Parent(), "tillbook-script-")
	if err != nil {
		return err
	}
	env.Defer(func() { _ = os.RemoveAll(parent) })
	if err := os.Chmod(parent, 0o711); err != nil {
		return err
	}
	env.Setenv("DATA", filepath.Join(parent, "data"))
	env.Setenv(embedded.BinVariable, os.Getenv(embedded.BinVariable))
	return nil
}

func freeport(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], freeAddress())
}

func listen(ts *testscript.TestScript, _ bool, args []string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], listener.Addr().String())
	ts.Defer(func() { _ = listener.Close() })
}

// patience is how long a script waits before it is taken to hang.
const patience = 2 * time.Minute

func ready(ts *testscript.TestScript, not bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for isReady(ctx, args[0]) == not {
		if ctx.Err() != nil {
			ts.Fatalf("waited in vain for the server at %s", args[0])
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func isReady(ctx context.Context, address string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if err == nil && want == 0 {
		return
	}
	if !errors.As(err, &exit) || exit.ExitCode() != want {
		ts.Fatalf("%s ended with %v, not with exit code %d", args[1], err, want)
	}
}

func pickOut(ts *testscript.TestScript, _ bool, args []string) {
	found := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if found == nil {
		ts.Fatalf("nothing matches %s", args[1])
	}
	ts.Setenv(args[0], found[1])
}

func eventually(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile(args[0])
	for deadline := time.Now().Add(patience); !pattern.MatchString(ts.ReadFile("stdout")); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("waited in vain for %s", args[0])
		}
		ts.Check(ts.Exec(args[1], args[2:]...))
	}
}

func makeDatabase(ts *testscript.TestScript, _ bool, _ []string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ts.Check(storetest.MakeFolder(ctx, ts.Getenv("DATA")))
}

func sql(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec("tillbook", "database-url", "--data-dir", ts.Getenv("DATA")))
	url := strings.TrimSpace(ts.ReadFile("stdout"))

	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	ts.Check(err)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, args[0])
	ts.Check(err)
}
