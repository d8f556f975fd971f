package seal_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tillbook/tillbook/store/audit"
	"github.com/tillbook/tillbook/store/ledger"
	"github.com/tillbook/tillbook/store/seal"
)

func TestTamperingIsFoundAndNamed(t *testing.T) {
	t.Parallel()
	hit := func(w *town) (ledger.Transaction, audit.Record) {
		w.pay(w.ann, w.bob, 5, "before")
		victim := w.pay(w.ann, w.bob, 70, "lunch")
		r := w.record("limit.set")
		w.pay(w.ann, w.bob, 5, "")
		w.seal()
		w.green()
		return victim, r
	}
	for name, c := range map[string]struct {
		statement string
		ofRecord  bool
		rule      string
	}{
		"a note is changed":             {`UPDATE transactions SET note = 'dinner' WHERE id = $1`, false, "log_leaf"},
		"details are added":             {`UPDATE transactions SET details = '{"a": 1}' WHERE id = $1`, false, "log_leaf"},
		"a time is changed":             {`UPDATE transactions SET create_time = create_time - interval '1 microsecond' WHERE id = $1`, false, "log_leaf"},
		"a kind is changed":             {`UPDATE transactions SET kind = 2 WHERE id = $1`, false, "log_leaf"},
		"a key is changed":              {`UPDATE transactions SET key_hash = gen_random_uuid() WHERE id = $1`, false, "log_leaf"},
		"an amount is changed":          {`UPDATE transactions SET a_amount = -71, b_amount = 71 WHERE id = $1`, false, "log_leaf"},
		"a transaction is removed":      {`DELETE FROM transactions WHERE id = $1`, false, "log_leaf"},
		"an audit record is changed":    {`UPDATE audit_records SET action = 'limit.deleted' WHERE id = $1`, true, "log_leaf"},
		"an audit record's ip is":       {`UPDATE audit_records SET client_ip = '192.0.2.2' WHERE id = $1`, true, "log_leaf"},
		"an audit record is removed":    {`DELETE FROM audit_records WHERE id = $1`, true, "log_leaf"},
		"a false commitment takes over": {`UPDATE transactions SET note = NULL, salt = NULL, commitment = sha256('x') WHERE id = $1`, false, "log_leaf"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTown(t)
			victim, record := hit(w)
			which, subject := victim.ID, victim.ID.String()
			if c.ofRecord {
				which, subject = record.ID, "audit record"
			}
			w.asOwner(c.statement, which)
			if said := w.check(seal.CheckOptions{}); !says(said, c.rule, subject) {
				t.Errorf("said:\n%s\nwant %s about %s", strings.Join(said, "\n"), c.rule, subject)
			}
		})
	}
}

func says(said []string, rule, about string) bool {
	for _, s := range said {
		if strings.HasPrefix(s, rule+": ") && strings.Contains(s, about) {
			return true
		}
	}
	return false
}

func TestARowThatNoCommitMadeIsFound(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.pay(w.ann, w.bob, 5, "")
	w.seal()
	added := uuid.Must(uuid.NewV7())
	w.asOwner(`
INSERT INTO transactions (id, key_hash, create_time, kind, fingerprint, a_account, a_version, a_amount, a_balance, b_account, b_version, b_amount, b_balance)
SELECT $1, gen_random_uuid(), now(), 1, sha256('x'), a.id, a.version + 1, -9, a.balance - 9, b.id, b.version + 1, 9, b.balance + 9
  FROM accounts a, accounts b WHERE a.code = 'user/usr_1/main/USD' AND b.code = 'user/usr_2/main/USD'`, added)
	w.asOwner(`UPDATE accounts SET balance = balance - 9, version = version + 1, last_time = now() WHERE code = 'user/usr_1/main/USD'`)
	w.asOwner(`UPDATE accounts SET balance = balance + 9, version = version + 1, last_time = now() WHERE code = 'user/usr_2/main/USD'`)
	w.asOwner(`UPDATE accounts SET last_time = (SELECT max(create_time) FROM transactions) WHERE code LIKE 'user/%'`)
	if said := w.check(seal.CheckOptions{}); !says(said, "log_unsealed", added.String()) {
		t.Errorf("said:\n%s", strings.Join(said, "\n"))
	}
	ghost := uuid.Must(uuid.NewV7())
	w.asOwner(`INSERT INTO audit_records (id, create_time, actor_kind, action, subject, salt) VALUES ($1, now(), 'system', 'x', '', gen_random_uuid())`, ghost)
	if said := w.check(seal.CheckOptions{}); !says(said, "log_unsealed", "audit record") {
		t.Errorf("said:\n%s", strings.Join(said, "\n"))
	}
}

func TestATamperedLogIsFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ statement, rule string }{
		"a leaf's hash":         {`UPDATE log_tiles SET hashes = set_byte(hashes, 3, get_byte(hashes, 3) # 1) WHERE level = 0 AND index = 0`, "log_leaf"},
		"a hash above":          {`UPDATE log_tiles SET hashes = set_byte(hashes, 3, get_byte(hashes, 3) # 1) WHERE level = 1`, "log_tile"},
		"the root":              {`UPDATE log_head SET root = sha256('x')`, "log_root"},
		"the checkpoint":        {`UPDATE log_head SET checkpoint = replace(checkpoint, E'\n', E'\n1')`, "log_root"},
		"a batch":               {`DELETE FROM log_batches WHERE first_leaf = (SELECT min(first_leaf) FROM log_batches WHERE first_leaf > 0)`, "log_gap"},
		"an event that is gone": {`DELETE FROM events WHERE id = (SELECT max(event_id) FROM log_batches)`, "log_gap"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTown(t)
			w.many(300)
			w.seal()
			w.green()
			w.asOwner(c.statement)
			if said := w.check(seal.CheckOptions{}); !says(said, c.rule, "") {
				t.Errorf("said:\n%s\nwant %s", strings.Join(said, "\n"), c.rule)
			}
		})
	}
}

func TestALogThatWasTamperedWithGetsNoFurtherSignature(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.many(20)
	w.seal()
	w.asOwner(`UPDATE log_tiles SET hashes = set_byte(hashes, 3, get_byte(hashes, 3) # 1)`)
	w.asOwner(`UPDATE log_head SET root = sha256('x')`)
	w.pay(w.ann, w.bob, 1, "")
	before := w.number(`SELECT size FROM log_head`)
	// The transactions of other tests hold up the horizon: until it passes there is
	// nothing to seal, and no refusal.
	s := w.sealer()
	for begin := time.Now(); ; {
		if _, err := s.Round(t.Context()); err != nil {
			break
		}
		if time.Since(begin) > time.Minute {
			t.Fatal("nothing was refused for a minute")
		}
	}
	if after := w.number(`SELECT size FROM log_head`); after != before {
		t.Errorf("the log grew from %d to %d", before, after)
	}
}

// The counts that commits announced, and the ranges that were sealed, can be made
// to fit by whoever adds a row.
func TestARowThatNoCommitMadeIsFoundWhateverWasMadeToFit(t *testing.T) {
	t.Parallel()
	for name, statement := range map[string]string{
		"an event's count": `UPDATE events SET payload = jsonb_set(payload, '{count}', to_jsonb((payload ->> 'count')::int + 1))
			WHERE id = (SELECT min(event_id) FROM log_batches WHERE kind = 1)`,
		"a sealed range": `UPDATE log_batches SET last_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff' WHERE kind = 1`,
		"an event without rows": `INSERT INTO events (type, subject, payload) VALUES ('ledger.committed', '',
			jsonb_build_object('first', gen_random_uuid(), 'last', gen_random_uuid(), 'count', 1))`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTown(t)
			w.pay(w.ann, w.bob, 5, "")
			w.seal()
			w.asOwner(`
INSERT INTO transactions (id, key_hash, create_time, kind, fingerprint, a_account, a_version, a_amount, a_balance, b_account, b_version, b_amount, b_balance)
SELECT $1, gen_random_uuid(), now(), 1, sha256('x'), a.id, a.version + 1, -9, a.balance - 9, b.id, b.version + 1, 9, b.balance + 9
  FROM accounts a, accounts b WHERE a.code = 'user/usr_1/main/USD' AND b.code = 'user/usr_2/main/USD'`, uuid.Must(uuid.NewV7()))
			w.asOwner(statement)
			if said := w.check(seal.CheckOptions{}); !says(said, "log_unsealed", "") && !says(said, "log_gap", "is the first of") {
				t.Errorf("said:\n%s", strings.Join(said, "\n"))
			}
		})
	}
}
