package replica_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/server/replica"
	"github.com/tillbook/tillbook/server/secret"
)

// A beat that looked before the key was replaced may act on that between a look and a seal.
func TestWhatIsSealedIsSealedWithTheKeyThatWasLookedUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	older, newer := secret.Generate(), secret.Generate()
	if err := w.owner.Queries().UseSecretKey(t.Context(), idOf(w, newer)); err != nil {
		t.Fatal(err)
	}
	keys, row := w.parse(older, newer), secret.Row{Table: "server_keys", Column: "sealed_key", ID: uuid.New()}
	by, err := replica.Follow(t.Context(), w.app.Queries(), keys)
	if err != nil {
		t.Fatal(err)
	}
	keys.Use(idOf(w, older))
	sealed, err := keys.Seal(by, row, []byte("hush"))
	if err != nil {
		t.Fatal(err)
	}
	if _, id, err := keys.OpenWith(row, sealed); err != nil || id != idOf(w, newer) {
		t.Errorf("it was sealed with %s, not %s: %v", id, idOf(w, newer), err)
	}
}
