package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tillbook/tillbook/server/secret/kmstest"
	"github.com/tillbook/tillbook/store/storetest"
)

func TestAServiceForKeysThatIsDownAtTheStartIsNamed(t *testing.T) {
	kms := kmstest.Start(t)
	file := filepath.Join(t.TempDir(), "secret")
	var out, errs bytes.Buffer
	if code := run([]string{"keys", "new", "--kms-key", kms.URI(), "--into", file}, &out, &errs); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	if text, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(text), "kms:") {
		t.Fatalf("the file holds %.8s, %v", text, err)
	}
	kms.Fail(true)
	for name, args := range map[string][]string{
		"serve": {"serve", "--sandbox", "--listen", "127.0.0.1:0", "--database-url", storetest.NewDatabase(t), "--secret-file", file, "--kms-key", kms.URI()},
		"keys":  {"keys", "new", "--kms-key", kms.URI()},
	} {
		errs.Reset()
		code := run(args, &out, &errs)
		if text := errs.String(); code != 1 || !strings.Contains(text, "the key management service can't be used") || !strings.Contains(text, kms.URI()) {
			t.Errorf("%s: exit code %d: %s", name, code, text)
		}
	}
	errs.Reset()
	kms.Fail(false)
	code := run([]string{"serve", "--sandbox", "--listen", "127.0.0.1:0", "--database-url", storetest.NewDatabase(t), "--secret-file", file}, &out, &errs)
	if text := errs.String(); code != 1 || !strings.Contains(text, "name the service's key with --kms-key") {
		t.Errorf("without --kms-key: exit code %d: %s", code, text)
	}
}
