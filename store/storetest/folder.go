package storetest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/embedded"
)

// FolderVariable is the environment variable that names a folder for what the test
// processes of one run share. Whoever sets it takes the folder away.
const FolderVariable = "TILLBOOK_TEST_FOLDER"

// MakeFolder makes a data folder at dir, with a migrated database in it. Within a run
// of tests that share a folder, that is a copy of the first one made.
func MakeFolder(ctx context.Context, dir string) error {
	shared := os.Getenv(FolderVariable)
	if shared == "" {
		return makeFolder(ctx, dir)
	}
	hash, err := migrationsHash()
	if err != nil {
		return err
	}
	template := filepath.Join(shared, "data-"+hash)
	lock, err := os.OpenFile(template+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock the template folder: %w", err)
	}
	if _, err := os.Stat(template); errors.Is(err, fs.ErrNotExist) {
		if err := makeTemplateFolder(ctx, template); err != nil {
			return fmt.Errorf("make the template folder: %w", err)
		}
	}
	if out, err := exec.CommandContext(ctx, "cp", "-a", template, dir).CombinedOutput(); err != nil {
		return fmt.Errorf("copy the template folder: %w: %s", err, out)
	}
	return nil
}

// makeTemplateFolder makes one that is there only when it is complete, and that holds
// no port, which each copy chooses.
func makeTemplateFolder(ctx context.Context, template string) error {
	unfinished := template + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	if err := makeFolder(ctx, unfinished); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(unfinished, "port")); err != nil {
		return err
	}
	return os.Rename(unfinished, template)
}

func makeFolder(ctx context.Context, dir string) (err error) {
	server, err := embedded.Start(ctx, embedded.Options{Dir: dir, Settings: map[string]string{"fsync": "off"}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop(ctx)) }()
	_, _, err = store.Migrate(ctx, server.URL())
	return err
}
