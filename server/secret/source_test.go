package secret_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/server/secret/kmstest"
)

var row = secret.Row{Table: "server_keys", Column: "sealed_key", ID: uuid.New()}

func write(t *testing.T, path string, words ...string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(strings.Join(words, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, from secret.Source) *secret.Keys {
	t.Helper()
	keys, err := secret.Load(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func seal(t *testing.T, keys *secret.Keys) []byte {
	t.Helper()
	sealed, err := keys.Seal(keys.InUse(), row, []byte("hush"))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func opens(t *testing.T, keys *secret.Keys, sealed []byte) {
	t.Helper()
	if got, err := keys.Open(row, sealed); err != nil || string(got) != "hush" {
		t.Errorf("Open = %q, %v", got, err)
	}
}

func TestAFileThatChangedAddsItsKeysButLeavesTheOneInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	older, newer := secret.Generate(), secret.Generate()
	write(t, path, older)
	keys := load(t, secret.File(path))
	before, first := seal(t, keys), keys.InUse()
	if changed, err := keys.Reload(t.Context()); changed || err != nil {
		t.Errorf("a file that didn't change: %v, %v", changed, err)
	}

	if err := secret.File(path).Prepend(newer); err != nil {
		t.Fatal(err)
	}
	if changed, err := keys.Reload(t.Context()); !changed || err != nil {
		t.Fatalf("a file that changed: %v, %v", changed, err)
	}
	if keys.InUse() != first || len(keys.Listed()) != 2 || keys.Listed()[1] != first {
		t.Errorf("in use %s of %v, want %s", keys.InUse(), keys.Listed(), first)
	}
	codes := keys.Derive("codes")
	old := codes.Newest()
	if !keys.Use(keys.Listed()[0]) {
		t.Fatal("the new key isn't held")
	}
	opens(t, keys, before)
	after := seal(t, keys)
	opens(t, load(t, secret.File(path)), after)
	if now := codes(); len(now) != 2 || slices.Equal(now[0], old) || !slices.Equal(now[1], old) {
		t.Error("what was derived before isn't recognised behind what is derived now")
	}

	// A mistake in the file stops nothing.
	write(t, path, newer)
	if _, err := keys.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	opens(t, keys, before)
	write(t, path, "oops")
	if _, err := keys.Reload(t.Context()); !errors.Is(err, secret.ErrMalformed) {
		t.Errorf("a malformed file: %v", err)
	}
	opens(t, keys, before)

	if !keys.Drop(first) || keys.Drop(keys.InUse()) {
		t.Error("the old key doesn't go, or the one in use does")
	}
	if _, err := keys.Open(row, before); !errors.Is(err, secret.ErrCannotOpen) {
		t.Errorf("a key that was dropped still opens: %v", err)
	}
}

func TestAKeyThatIsPutIntoAFileLeavesItsMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := secret.File(path).Prepend(secret.Generate()); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := secret.File(path).Prepend(secret.Generate()); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if n := len(load(t, secret.File(path)).Listed()); n != 2 {
		t.Errorf("%d keys", n)
	}
}

func TestAVariableHoldsKeys(t *testing.T) {
	text := secret.Generate()
	t.Setenv("TILLBOOK_TEST_SECRET", text)
	keys := load(t, secret.Variable("TILLBOOK_TEST_SECRET"))
	parsed, err := secret.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	opens(t, parsed, seal(t, keys))
	if _, err := secret.Load(t.Context(), secret.Variable("TILLBOOK_NO_SUCH")); err == nil || !strings.Contains(err.Error(), "TILLBOOK_NO_SUCH") {
		t.Errorf("a variable that isn't there: %v", err)
	}
}

func TestAServiceOpensKeysOnceAndNoFileAloneDoes(t *testing.T) {
	kms := kmstest.Start(t)
	kek, err := secret.OpenKEK(kms.URI())
	if err != nil {
		t.Fatal(err)
	}
	plain := secret.Generate()
	word, err := secret.Wrap(kek, plain)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "secret")
	write(t, path, word, secret.Generate())
	if _, err := secret.Load(t.Context(), secret.File(path)); !errors.Is(err, secret.ErrNoKMS) {
		t.Errorf("without the service: %v", err)
	}

	keys := load(t, secret.NewKMS(secret.File(path), kek, "the service"))
	asked := kms.Calls()
	sealed := seal(t, keys)
	for range 100 {
		opens(t, keys, seal(t, keys))
		if _, err := keys.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if kms.Calls() != asked {
		t.Errorf("the service was asked %d times more for secrets", kms.Calls()-asked)
	}
	bare, err := secret.Parse(plain)
	if err != nil {
		t.Fatal(err)
	}
	opens(t, bare, sealed)
}

func TestAServiceThatIsDownStopsOnlyWhatItNeverOpened(t *testing.T) {
	kms := kmstest.Start(t)
	kek, err := secret.OpenKEK(kms.URI())
	if err != nil {
		t.Fatal(err)
	}
	first, err := secret.Wrap(kek, secret.Generate())
	if err != nil {
		t.Fatal(err)
	}
	second, err := secret.Wrap(kek, secret.Generate())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "secret")
	write(t, path, first)

	kms.Fail(true)
	_, err = secret.Load(t.Context(), secret.NewKMS(secret.File(path), kek, kms.URI()))
	if !errors.Is(err, secret.ErrKMS) || !strings.Contains(err.Error(), kms.URI()) || !strings.Contains(err.Error(), "Vault is sealed") {
		t.Errorf("at the start: %v", err)
	}
	kms.Fail(false)
	keys := load(t, secret.NewKMS(secret.File(path), kek, kms.URI()))
	sealed := seal(t, keys)

	kms.Fail(true)
	write(t, path, second, first)
	if _, err := keys.Reload(t.Context()); !errors.Is(err, secret.ErrKMS) {
		t.Errorf("a new key while it is down: %v", err)
	}
	if _, err := secret.Wrap(kek, secret.Generate()); !errors.Is(err, secret.ErrKMS) {
		t.Errorf("making a key while it is down: %v", err)
	}
	opens(t, keys, sealed)
	opens(t, keys, seal(t, keys))
	kms.Fail(false)
	if changed, err := keys.Reload(t.Context()); !changed || err != nil {
		t.Errorf("once it is back: %v, %v", changed, err)
	}
}

func TestAServicesKeyMustBeNamedInFull(t *testing.T) {
	for _, uri := range []string{"", "tillbook", "https://vault/transit/keys/a", "hcvault:///transit/keys/a", "hcvault://vault/a"} {
		if _, err := secret.OpenKEK(uri); !errors.Is(err, secret.ErrKMS) {
			t.Errorf("%q: %v", uri, err)
		}
	}
}
