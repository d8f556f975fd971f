package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tillbook/tillbook/store/storetest"
)

func TestTheCommandFindsAServerThatEndsWithIt(t *testing.T) {
	t.Setenv(storetest.URLVariable, "")
	seen := filepath.Join(t.TempDir(), "url")
	code, err := run([]string{"--", "sh", "-c", `echo "$` + storetest.URLVariable + `" >"$0"; exit 3`, seen})
	if err != nil || code != 3 {
		t.Errorf("ended with %d (%v), want the command's 3", code, err)
	}
	url, err := os.ReadFile(seen)
	if err != nil || !strings.HasPrefix(string(url), "postgres://") {
		t.Fatalf("the command was told %q (%v)", url, err)
	}
	if conn, err := pgx.Connect(t.Context(), strings.TrimSpace(string(url))); err == nil {
		conn.Close(context.Background())
		t.Error("the server outlives the command")
	}
}

func TestAServerThatIsThereAlreadyIsUsed(t *testing.T) {
	t.Setenv(storetest.URLVariable, "postgres://elsewhere/db")
	code, err := run([]string{"sh", "-c", `[ "$` + storetest.URLVariable + `" = postgres://elsewhere/db ]`})
	if err != nil || code != 0 {
		t.Errorf("ended with %d (%v)", code, err)
	}
}

func TestTheFolderOfARunGoesWithIt(t *testing.T) {
	t.Setenv(storetest.URLVariable, "postgres://elsewhere/db")
	t.Setenv(storetest.FolderVariable, "")
	seen := filepath.Join(t.TempDir(), "folder")
	code, err := run([]string{"sh", "-c", `echo "$` + storetest.FolderVariable + `" >"$0"; touch "$` + storetest.FolderVariable + `/file"`, seen})
	if err != nil || code != 0 {
		t.Errorf("ended with %d (%v)", code, err)
	}
	folder, err := os.ReadFile(seen)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(strings.TrimSpace(string(folder))); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", folder, err)
	}
}

func TestSignalsReachTheCommand(t *testing.T) {
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGTERM
	code, err := runCommand([]string{"sleep", "600"}, signals)
	if err != nil || code == 0 {
		t.Errorf("ended with %d (%v)", code, err)
	}
}

func TestACommandThatIsNotThereIsAnError(t *testing.T) {
	t.Setenv(storetest.URLVariable, "postgres://elsewhere/db")
	for _, args := range [][]string{nil, {"--"}, {"/nonexistent/command"}} {
		if code, err := run(args); err == nil || code == 0 {
			t.Errorf("running %q ended with %d and no error", args, code)
		}
	}
}
