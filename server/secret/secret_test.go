package secret

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
)

func TestASecretOpensInItsOwnRowOnly(t *testing.T) {
	k := mustParse(t, Generate())
	row := Row{Table: "server_keys", Column: "sealed_key", ID: uuid.New()}
	sealed, err := k.Seal(k.InUse(), row, []byte("hush"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("hush")) {
		t.Fatal("the secret can be read in its sealed form")
	}
	if got, err := k.Open(row, sealed); err != nil || string(got) != "hush" {
		t.Fatalf("Open = %q, %v", got, err)
	}
	for name, other := range map[string]Row{
		"id":     {Table: row.Table, Column: row.Column, ID: uuid.New()},
		"table":  {Table: "webhooks", Column: row.Column, ID: row.ID},
		"column": {Table: row.Table, Column: "other", ID: row.ID},
	} {
		if _, err := k.Open(other, sealed); !errors.Is(err, ErrCannotOpen) {
			t.Errorf("with another %s: %v; want ErrCannotOpen", name, err)
		}
	}
	sealed[len(sealed)-1] ^= 1
	if _, err := k.Open(row, sealed); !errors.Is(err, ErrCannotOpen) {
		t.Errorf("with a bit flipped: %v; want ErrCannotOpen", err)
	}
}

func TestAKeyIsReplacedByPuttingANewOneInFront(t *testing.T) {
	oldText, newText := Generate(), Generate()
	row := Row{Table: "server_keys", ID: uuid.New()}
	old := mustParse(t, oldText)
	sealed, err := old.Seal(old.InUse(), row, []byte("hush"))
	if err != nil {
		t.Fatal(err)
	}
	both := mustParse(t, newText+"\n"+oldText+"\n")
	if got, err := both.Open(row, sealed); err != nil || string(got) != "hush" {
		t.Fatalf("Open with both = %q, %v", got, err)
	}
	resealed, err := both.Seal(both.InUse(), row, []byte("hush"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mustParse(t, newText).Open(row, resealed); err != nil {
		t.Errorf("the first key doesn't seal: %v", err)
	}
	if _, err := mustParse(t, newText).Seal(old.InUse(), row, []byte("hush")); !errors.Is(err, ErrNotHeld) {
		t.Errorf("it seals with a key that it lacks: %v", err)
	}
	if _, err := mustParse(t, newText).Open(row, sealed); !errors.Is(err, ErrCannotOpen) {
		t.Errorf("the new key alone opens what the old one sealed: %v", err)
	}
}

func TestAMalformedKeyIsRefusedWithoutQuotingIt(t *testing.T) {
	for _, text := range []string{"", " \n", "c2hvcnQ=", "secret-but-not-base64!", Generate() + " oops"} {
		_, err := Parse(text)
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("Parse(%q): %v; want ErrMalformed", text, err)
			continue
		}
		for _, word := range strings.Fields(text) {
			if strings.Contains(err.Error(), word) {
				t.Errorf("the error quotes the key: %v", err)
			}
		}
	}
}

func TestDerivedKeysDifferByPurpose(t *testing.T) {
	k := mustParse(t, Generate())
	if bytes.Equal(k.Derive("a").Newest(), k.Derive("b").Newest()) {
		t.Error("two purposes share a key")
	}
	if !bytes.Equal(k.Derive("a").Newest(), k.Derive("a").Newest()) {
		t.Error("one purpose has two keys")
	}
	if bytes.Equal(k.Derive("a").Newest(), mustParse(t, Generate()).Derive("a").Newest()) {
		t.Error("two secrets derive one key")
	}
}

func TestProcessesThatRaceToMakeAKeyFileGetOneKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	var wg sync.WaitGroup
	derived := make([]string, 16)
	for i := range derived {
		wg.Go(func() {
			if err := File(path).Create(); err != nil {
				t.Error(err)
				return
			}
			k, err := Load(t.Context(), File(path))
			if err != nil {
				t.Error(err)
				return
			}
			derived[i] = string(k.Derive("test").Newest())
		})
	}
	wg.Wait()
	for _, d := range derived {
		if d != derived[0] {
			t.Fatal("two processes have two keys")
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key file has mode %v, %v; want 0600", info.Mode(), err)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".key-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestKeysDontPrint(t *testing.T) {
	text := Generate()
	k := mustParse(t, text)
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, k); got != "secret keys" {
			t.Errorf("%s prints %q", format, got)
		}
	}
}

func mustParse(t *testing.T, text string) *Keys {
	t.Helper()
	k, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}
