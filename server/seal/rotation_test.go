package seal

import (
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/tillbook/tillbook/server/replica"
	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/audit"
	"github.com/tillbook/tillbook/store/id"
	"github.com/tillbook/tillbook/store/ledger"
	"github.com/tillbook/tillbook/store/seal"
	"github.com/tillbook/tillbook/store/storetest"
)

// house is a database with a log and two replicas that seal it.
type house struct {
	t           *testing.T
	owner       *store.Store
	secret      *secret.Keys
	here, there *Keys
	sealHere    *seal.Sealer
	sealThere   *seal.Sealer
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t}
	app := storetest.New(t)
	h.owner = storetest.Open(t, store.Config{URL: storetest.URL(app), Role: store.NoRole, MaxConns: 2})
	var err error
	if h.secret, err = secret.Parse(secret.Generate()); err != nil {
		t.Fatal(err)
	}
	for _, k := range []**Keys{&h.here, &h.there} {
		if *k, err = OpenKeys(t.Context(), app, h.secret, "books.example.com", slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
	}
	h.sealHere = seal.New(app.Pool, seal.Config{Signers: h.here.Signers})
	h.sealThere = seal.New(app.Pool, seal.Config{Signers: h.there.Signers})
	return h
}

// seal records something, seals it at one replica, and returns the checkpoint.
func (h *house) seal(s *seal.Sealer) (checkpoint string) {
	h.t.Helper()
	if err := h.owner.Queries().Record(h.t.Context(), audit.New(audit.Actor{Kind: audit.System}, "test.done", "", nil)); err != nil {
		h.t.Fatal(err)
	}
	// What other tests of the cluster leave open holds the log up.
	for unsealed, deadline := true, time.Now().Add(time.Minute); unsealed && time.Now().Before(deadline); {
		if _, err := s.Round(h.t.Context()); err != nil {
			h.t.Fatal(err)
		}
		err := h.owner.Pool.QueryRow(h.t.Context(),
			"SELECT (SELECT count(*) FROM audit_records) > (SELECT size FROM log_head)").Scan(&unsealed)
		if err != nil {
			h.t.Fatal(err)
		}
	}
	checkpoint, _, err := seal.NewLog(h.owner.Pool).Checkpoint(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	return checkpoint
}

func (h *house) load(k *Keys) {
	h.t.Helper()
	if err := k.load(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

// check verifies the books with what is known of the log from outside.
func (h *house) check(key, checkpoint string) (problems []ledger.Problem) {
	h.t.Helper()
	report, err := ledger.Verify(h.t.Context(), h.owner.Pool, ledger.VerifyOptions{
		Beside: []ledger.Check{seal.Check(seal.CheckOptions{VerifierKey: key, Checkpoint: checkpoint})},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return report.Problems
}

func (h *house) verifies(checkpoint, key string) bool {
	h.t.Helper()
	v, err := note.NewVerifier(key)
	if err != nil {
		h.t.Fatal(err)
	}
	_, err = note.Open([]byte(checkpoint), note.VerifierList(v))
	return err == nil
}

func TestANewKeyOfTheLogSignsBesideTheOldOneUntilThatIsRetired(t *testing.T) {
	h := newHouse(t)
	first := h.seal(h.sealHere)
	old := h.here.Verifier()
	if err := Rotate(t.Context(), h.owner, h.secret); err != nil {
		t.Fatal(err)
	}
	if err := Rotate(t.Context(), h.owner, h.secret); !errors.Is(err, ErrKeyWaits) {
		t.Errorf("rotating again: %v", err)
	}
	h.load(h.here) // the other one doesn't know yet
	fresh := h.here.Verifiers()[1]
	both := h.seal(h.sealHere)
	if !h.verifies(both, old) || !h.verifies(both, fresh) || h.here.Verifier() != old {
		t.Errorf("the checkpoint isn't signed by both keys:\n%s", both)
	}
	if late := h.seal(h.sealThere); !h.verifies(late, old) || h.verifies(late, fresh) {
		t.Errorf("a replica that doesn't know of the key signs:\n%s", late)
	}
	h.load(h.there)
	h.seal(h.sealThere)
	rec := httptest.NewRecorder()
	New(seal.NewLog(h.owner.Pool), h.here).VerifierKey(rec, httptest.NewRequest("GET", "/log-key", nil))
	if rec.Body.String() != old+"\n"+fresh+"\n" {
		t.Errorf("/log-key shows %q", rec.Body.String())
	}

	rows, err := h.owner.Queries().ListLogKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	oldID := id.Format(id.Key, rows[0].ID)
	if err := RetireKey(t.Context(), h.owner, oldID); !errors.Is(err, ErrKeyYoung) {
		t.Errorf("retiring before all may sign with the new key: %v", err)
	}
	if _, err := h.owner.Pool.Exec(t.Context(), "UPDATE log_keys SET create_time = create_time - interval '1 hour'"); err != nil {
		t.Fatal(err)
	}
	if err := RetireKey(t.Context(), h.owner, oldID); err != nil {
		t.Fatal(err)
	}
	h.load(h.here)
	only := h.seal(h.sealHere)
	if h.verifies(only, old) || !h.verifies(only, fresh) || h.here.Verifier() != fresh {
		t.Errorf("after the old key was retired:\n%s", only)
	}
	h.seal(h.sealThere) // which doesn't know that yet
	h.load(h.there)
	h.seal(h.sealThere)
	for name, c := range map[string]struct {
		key, checkpoint string
		wrong           bool
	}{
		"the database's own word":           {checkpoint: first},
		"both keys":                         {key: old + " " + fresh, checkpoint: first},
		"the new key":                       {key: fresh, checkpoint: only},
		"the new key and an old checkpoint": {key: fresh, checkpoint: first, wrong: true},
		"the old key":                       {key: old, wrong: true},
	} {
		if problems := h.check(c.key, c.checkpoint); (len(problems) > 0) != c.wrong {
			t.Errorf("%s: %v", name, problems)
		}
	}
	if err := RetireKey(t.Context(), h.owner, oldID); !errors.Is(err, ErrKeyUnknown) {
		t.Errorf("retiring it again: %v", err)
	}
	if err := RetireKey(t.Context(), h.owner, id.Format(id.Key, rows[1].ID)); !errors.Is(err, ErrKeyNeeded) {
		t.Errorf("retiring the last one: %v", err)
	}
}

func TestATreeThatWasChangedGetsNoSignatureOfAnyKey(t *testing.T) {
	h := newHouse(t)
	h.seal(h.sealHere)
	if err := Rotate(t.Context(), h.owner, h.secret); err != nil {
		t.Fatal(err)
	}
	h.load(h.here)
	h.seal(h.sealHere)
	_, err := h.owner.Pool.Exec(t.Context(), "UPDATE log_tiles SET hashes = sha256('x') || substr(hashes, 33)")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.owner.Queries().Record(t.Context(), audit.New(audit.Actor{Kind: audit.System}, "test.done", "", nil)); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*seal.Sealer{h.sealHere, h.sealThere} {
		var err error
		for deadline := time.Now().Add(time.Minute); err == nil && time.Now().Before(deadline); {
			_, err = s.Round(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), "not the one that was signed") {
			t.Errorf("sealing goes on: %v", err)
		}
	}
}

func TestTheLogsKeyIsSealedWithTheOneInUse(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	fresh, err := secret.Parse(secret.Generate())
	if err != nil {
		t.Fatal(err)
	}
	if err := h.owner.Queries().UseSecretKey(t.Context(), fresh.InUse()); err != nil {
		t.Fatal(err)
	}
	if err := Rotate(t.Context(), h.owner, h.secret); !errors.Is(err, replica.ErrLacksKey) {
		t.Errorf("without the key in use: %v", err)
	}
	if err := Rotate(t.Context(), h.owner, fresh); err != nil {
		t.Errorf("with it: %v", err)
	}
}
