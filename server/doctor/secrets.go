package doctor

import (
	"context"
	"time"

	"github.com/tillbook/tillbook/server/replica"
	"github.com/tillbook/tillbook/server/secret"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
)

const (
	day = 24 * time.Hour
	// oldSecret is after how long a secret key should be replaced.
	oldSecret = 365 * day
	// oldToken is when replicas should long have made the next token key: they use
	// one for 30 days.
	oldToken = 32 * day
	// idleSecret is how long an ended key may lie around.
	idleSecret = 7 * day
	// twoLogKeys is how long two keys may sign the log.
	twoLogKeys = 365 * day
)

func (v *visit) keys(ctx context.Context) error {
	keys := v.Keys
	if keys == nil {
		v.add(Warn, "Give the keys with --secret-file.", "What the secret keys seal wasn't checked.")
		keys = secret.Sandbox()
	}
	states, err := replica.KeyStates(ctx, v.Store, keys)
	if err != nil {
		return err
	}
	for _, k := range states {
		v.secretKey(k, time.Now())
	}
	tokens, err := v.Store.Queries().ListServerKeys(ctx)
	if err != nil {
		return err
	}
	v.tokenKeys(tokens, time.Now())
	return v.logKeys(ctx)
}

// tokenKeys judges those that sign tokens and hash codes, by the newest of a kind.
func (v *visit) tokenKeys(rows []store.ServerKey, now time.Time) {
	newest := make(map[string]store.ServerKey)
	for _, row := range rows {
		if row.UseTime.After(newest[row.Kind].UseTime) {
			newest[row.Kind] = row
		}
	}
	for kind, row := range newest {
		if age := now.Sub(row.UseTime); age > oldToken {
			v.add(Warn, "Run `tillbook keys rotate`, and look into the replicas' logs for why they don't.",
				"The %s key %s is in use for %d days.", kind, id.Format(id.Key, row.ID), age/day)
		}
	}
	if len(rows) == 0 {
		v.ok("No replica ever served: there are no token keys.")
	}
}

func (v *visit) secretKey(k replica.KeyState, now time.Time) {
	switch age := now.Sub(k.Used); {
	case k.ID == secret.SandboxID && !v.Sandbox && k.Retired.IsZero():
		v.add(Fail, "Use another database: everybody knows this key.", "The secret key %s is the sandbox's.", k.ID)
	case k.InUse && v.Keys != nil && k.Sealed < 0:
		v.add(Warn, "Give all keys with --secret-file.", "The secret key %s is in use, but isn't among those given: what it seals wasn't checked.", k.ID)
	case k.InUse && age > oldSecret:
		v.add(Warn, "Replace it; `tillbook keys --help` says how.", "The secret key %s is in use for %d days.", k.ID, age/day)
	case k.InUse:
		v.ok("The secret key %s is in use for %d days.", k.ID, age/day)
	case !k.Retired.IsZero() && k.Replicas > 0:
		v.add(Warn, "Take it out of their configuration.", "The secret key %s is retired, but %d replicas list it.", k.ID, k.Replicas)
	case !k.Retired.IsZero():
	case k.Used.IsZero():
		v.add(Warn, "Put it in front on every replica, or take it away.", "The secret key %s is new to %d replicas, but not in front of all.", k.ID, k.Replicas)
	case v.Keys != nil && k.Sealed < 0:
		v.add(Warn, "Give all keys with --secret-file.", "Whether the old secret key %s still seals something can't be told.", k.ID)
	case v.Keys != nil && k.Sealed > 0:
		v.add(Warn, "Run `tillbook keys reseal`.", "The old secret key %s still seals %d secrets.", k.ID, k.Sealed)
	case now.Sub(k.Ended) > idleSecret:
		v.add(Warn, "Run `tillbook keys retire "+k.ID+"`.", "The old secret key %s was replaced %d days ago.", k.ID, now.Sub(k.Ended)/day)
	default:
		v.ok("The old secret key %s can be retired from %s.", k.ID, k.Free.UTC().Format(time.DateTime))
	}
}

func (v *visit) logKeys(ctx context.Context) error {
	rows, err := v.Store.Queries().ListLogKeys(ctx)
	if err != nil {
		return err
	}
	live, newest := 0, time.Time{}
	for _, row := range rows {
		if row.RetireTime == nil {
			live, newest = live+1, row.CreateTime
		}
	}
	if live > 1 && time.Since(newest) > twoLogKeys {
		v.add(Warn, "Run `tillbook keys retire` for the older one, once those who verify receipts know the other.",
			"Two keys sign the log for %d days.", time.Since(newest)/day)
	}
	return nil
}

func (v *visit) log(ctx context.Context) error {
	var oldest *time.Time
	err := v.row(ctx, `
		SELECT min(e.create_time) FROM events e
		 WHERE e.xid >= (SELECT cursor FROM log_head) AND e.type IN ('ledger.committed', 'audit.recorded')
		   AND NOT EXISTS (SELECT FROM log_batches b WHERE b.event_id = e.id)`, &oldest)
	if err != nil {
		return err
	}
	if oldest == nil {
		v.ok("Everything is sealed.")
		return nil
	}
	lag := time.Since(*oldest)
	switch advice := "See whether a replica runs, what it logs about sealing, and whether a transaction holds everything up."; {
	case lag > time.Hour:
		v.add(Fail, advice, "A commit isn't sealed for %s.", lag.Round(time.Second))
	case lag > time.Minute:
		v.add(Warn, advice, "A commit isn't sealed for %s.", lag.Round(time.Second))
	default:
		v.ok("The oldest commit that isn't sealed is %s old.", lag.Round(time.Millisecond))
	}
	return nil
}

func (v *visit) sandbox(ctx context.Context) error {
	if v.Sandbox {
		v.ok("This is a sandbox.")
		return nil
	}
	var messages, funded, replicas, demo int
	err := v.row(ctx, `
		SELECT (SELECT count(*) FROM sandbox_messages),
		       (SELECT count(*) FROM accounts WHERE code LIKE 'external/sandbox/%' AND balance <> 0),
		       (SELECT count(*) FROM replicas WHERE sandbox AND seen_time > clock_timestamp() - interval '1 day'),
		       (SELECT count(*) FROM operators o JOIN operator_keys k ON k.operator_id = o.id
		         WHERE o.name LIKE 'demo-%' AND k.revoke_time IS NULL)`, &messages, &funded, &replicas, &demo)
	if err != nil {
		return err
	}
	sealed, err := replica.SealedBySandbox(ctx, v.Store)
	if err != nil {
		return err
	}
	another := "Use another database for real money; if this is a sandbox, say --sandbox."
	for _, f := range []struct {
		n      int
		level  Level
		text   string
		advice string
	}{
		{sealed, Fail, "%d secrets are sealed with the sandbox's key, which everybody knows.", another},
		{funded, Fail, "%d assets have money that the sandbox handed out.", another},
		{replicas, Fail, "%d replicas serve it as a sandbox, or did today.", "Stop them: they hand out money and show codes. If this is a sandbox, say --sandbox."},
		{demo, Fail, "%d operators of the demo have keys.", "Run `tillbook operator revoke` for each."},
		{messages, Warn, "%d messages of the sandbox are kept, with their codes.", "Run: DELETE FROM sandbox_messages;"},
	} {
		if f.n > 0 {
			v.add(f.level, f.advice, f.text, f.n)
		}
	}
	return nil
}
