package terminal_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/tillbook/tillbook/server"
	"github.com/tillbook/tillbook/server/secret"
)

func TestAnActivationCodeOutlivesTheChangeOfTheSecretKey(t *testing.T) {
	w := newTown(t)
	file := secret.File(filepath.Join(t.TempDir(), "secret"))
	must(t, file.Create())
	keys, err := secret.Load(t.Context(), file)
	must(t, err)
	r := w.replica(t, func(c *server.Config) { c.Secret, c.ReplicaInterval = keys, 10*time.Millisecond })
	s := w.shop(t, r)
	before := s.create(t, r).GetActivationCode()
	old := keys.InUse()
	must(t, file.Prepend(secret.Generate()))
	eventually(t, "the new key to be used", func() bool { return keys.InUse() != old })
	after := s.create(t, r).GetActivationCode()
	for _, code := range []string{before, after} {
		if _, err := newGadget(t).activate(t, r, code); err != nil {
			t.Error(err)
		}
	}
}
