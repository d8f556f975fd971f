-- InsertTerminal adds a terminal to a store of the merchant's, unless its key was
-- used. No row means that it was, or that there is no such store.
-- name: InsertTerminal :execrows
INSERT INTO terminals (id, merchant_id, store_id, name, key_hash, fingerprint, create_time)
SELECT @id, s.merchant_id, s.id, @name, @key_hash, @fingerprint, clock_timestamp()
  FROM stores AS s
 WHERE s.id = @store_id AND s.merchant_id = @merchant_id
ON CONFLICT ON CONSTRAINT terminals_key DO NOTHING;

-- FindTerminalByKey finds what a key was used for.
-- name: FindTerminalByKey :one
SELECT id, fingerprint, (public_key IS NOT NULL)::bool AS active FROM terminals WHERE key_hash = @key_hash;

-- LockTerminal holds a terminal of a merchant's until the transaction ends.
-- name: LockTerminal :one
SELECT id, epoch, (public_key IS NOT NULL)::bool AS active, locked, key_shared, revoke_time
  FROM terminals
 WHERE id = @id AND merchant_id = @merchant_id
   FOR NO KEY UPDATE;

-- SetActivationCode gives a terminal a code. If it had a device, that is its device
-- no longer, and what was known of it is forgotten. Only older replicas look at the tries.
-- name: SetActivationCode :one
UPDATE terminals
   SET activation_hash = @hash, activation_tries = 0, public_key = NULL, activate_time = NULL, device = '{}',
       key_shared = false, base_epoch = epoch, activation_expire_time = clock_timestamp() + interval '10 minutes'
 WHERE id = @id
RETURNING coalesce(activation_expire_time, clock_timestamp())::timestamptz;

-- LockTerminalByCode holds the terminal that an activation code stands for.
-- name: LockTerminalByCode :one
SELECT id, merchant_id, activation_hash, public_key, revoke_time,
       (activation_expire_time > clock_timestamp())::bool AS fresh
  FROM terminals
 WHERE activation_hash = ANY (sqlc.arg(hashes)::bytea[])
   FOR NO KEY UPDATE;

-- ActivateTerminal binds a device's key to a terminal.
-- name: ActivateTerminal :exec
UPDATE terminals SET public_key = @public_key, device = @device, activate_time = clock_timestamp() WHERE id = @id;

-- SetTerminalLock locks or unlocks a terminal. Unlocking also forgives that its key
-- was shared, and lets in whichever device comes first.
-- name: SetTerminalLock :exec
UPDATE terminals
   SET locked = sqlc.arg(locked)::bool, key_shared = key_shared AND sqlc.arg(locked)::bool, revision = revision + 1,
       base_epoch = CASE WHEN sqlc.arg(locked)::bool THEN base_epoch ELSE epoch END
 WHERE id = @id;

-- SetKeyShared notes that two devices use a terminal's key.
-- name: SetKeyShared :exec
UPDATE terminals SET key_shared = true, revision = revision + 1 WHERE id = @id;

-- RevokeTerminal gives a terminal up.
-- name: RevokeTerminal :exec
UPDATE terminals SET revoke_time = clock_timestamp() WHERE id = @id AND revoke_time IS NULL;

-- FindTerminalKey finds what verifies a terminal's assertions.
-- name: FindTerminalKey :one
SELECT public_key, (revoke_time IS NOT NULL)::bool AS revoked FROM terminals WHERE id = @id;

-- UseAssertion notes that an assertion was used. No row means that it was before.
-- name: UseAssertion :execrows
INSERT INTO terminal_assertions (id, expire_time) VALUES (@id, @expire_time) ON CONFLICT DO NOTHING;

-- name: DeleteOldAssertions :execrows
DELETE FROM terminal_assertions
 WHERE id IN (SELECT a.id FROM terminal_assertions AS a WHERE a.expire_time < @before
               ORDER BY a.expire_time LIMIT @max_rows);

-- LockTerminalForSession holds a terminal while a session of it begins.
-- name: LockTerminalForSession :one
SELECT t.merchant_id, (t.public_key IS NOT NULL)::bool AS active, t.epoch, t.key_shared, t.revoke_time,
       (CASE WHEN p.confirmed_epoch > t.base_epoch THEN p.confirmed_epoch ELSE 0 END)::bigint AS confirmed_epoch, coalesce(p.acked, 0)::bigint AS acked
  FROM terminals AS t LEFT JOIN terminal_presence AS p ON p.terminal_id = t.id
 WHERE t.id = @id
   FOR NO KEY UPDATE OF t;

-- SetTerminalEpoch gives a terminal's new session its number.
-- name: SetTerminalEpoch :exec
UPDATE terminals SET epoch = @epoch WHERE id = @id;

-- ListTerminalStandings tells which of the terminals have which session, and which
-- may have none.
-- name: ListTerminalStandings :many
SELECT id, epoch, key_shared, (revoke_time IS NOT NULL)::bool AS revoked, (public_key IS NOT NULL)::bool AS active
  FROM terminals WHERE id = ANY(sqlc.arg(ids)::uuid[]);

-- ListTerminalEvents lists what happened to one terminal after a sequence and before
-- a horizon. An event's number is its place among the terminal's of one transaction.
-- name: ListTerminalEvents :many
SELECT e.xid, e.number, e.type, e.payload, e.create_time, e.trace
  FROM (SELECT v.xid, v.id, v.type, v.payload, v.create_time, coalesce(v.trace, '')::text AS trace,
               row_number() OVER (PARTITION BY v.xid ORDER BY v.id) AS number
          FROM events AS v
         WHERE v.subject = @subject AND v.subject <> '' AND v.xid >= @from_xid AND v.xid < @horizon) AS e
 WHERE e.xid > @from_xid OR e.number > sqlc.arg(from_number)::bigint
 ORDER BY e.xid, e.id
 LIMIT @max_rows;

-- HasTerminalEvent tells whether so many events happened to a terminal in a transaction.
-- name: HasTerminalEvent :one
SELECT (count(*) >= sqlc.arg(number)::bigint)::bool
  FROM events WHERE subject = @subject AND subject <> '' AND xid = @xid;

-- FollowTerminals lists what happened to all terminals since a transaction, and how
-- far it is complete. Without events there is one row that tells only that.
-- name: FollowTerminals :many
SELECT h.horizon, coalesce(e.xid, 0)::bigint AS xid, coalesce(e.number, 0)::bigint AS number,
       coalesce(e.subject, '')::text AS subject, coalesce(e.type, '')::text AS type,
       coalesce(e.payload, '{}')::jsonb AS payload, coalesce(e.create_time, clock_timestamp())::timestamptz AS create_time,
       coalesce(e.trace, '')::text AS trace
  FROM (SELECT coalesce(max(l.xid) + 1, 1)::bigint AS horizon
          FROM events AS l WHERE l.xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint) AS h
  LEFT JOIN LATERAL (
       SELECT v.xid, v.id, v.subject, v.type, v.payload, v.create_time, v.trace,
              row_number() OVER (PARTITION BY v.subject, v.xid ORDER BY v.id) AS number
         FROM events AS v
        WHERE v.xid >= @from_xid AND v.xid < h.horizon
          AND (v.subject LIKE 'terminal/%' OR v.subject LIKE 'session/%')) AS e ON true
 ORDER BY e.xid, e.id
 LIMIT @max_rows;

-- WritePresence writes what terminals have said since the last time, all in one
-- statement. Sessions that were fenced don't overwrite what came after them.
-- name: WritePresence :exec
INSERT INTO terminal_presence AS p (terminal_id, epoch, confirmed_epoch, acked, connected, slow, battery_percent,
                                    charging, network, signal_percent, version, last_seen_time)
SELECT n.terminal_id, n.epoch, n.confirmed_epoch, n.acked, n.connected, n.slow, nullif(n.battery_percent, -1),
       n.charging, n.network, n.signal_percent, n.version, n.last_seen_time
  FROM (SELECT unnest(@terminal_ids::uuid[]) AS terminal_id, unnest(@epochs::bigint[]) AS epoch,
               unnest(@confirmed_epochs::bigint[]) AS confirmed_epoch, unnest(@acked::bigint[]) AS acked,
               unnest(@connected::bool[]) AS connected, unnest(@slow::bool[]) AS slow,
               unnest(@battery_percents::smallint[]) AS battery_percent, unnest(@charging::bool[]) AS charging,
               unnest(@networks::text[]) AS network, unnest(@signal_percents::smallint[]) AS signal_percent,
               unnest(@versions::text[]) AS version, unnest(@last_seen_times::timestamptz[]) AS last_seen_time) AS n
 ORDER BY n.terminal_id
ON CONFLICT (terminal_id) DO UPDATE
   SET epoch           = greatest(p.epoch, excluded.epoch),
       confirmed_epoch = greatest(p.confirmed_epoch, excluded.confirmed_epoch),
       acked           = greatest(p.acked, excluded.acked),
       connected       = CASE WHEN excluded.epoch >= p.epoch THEN excluded.connected ELSE p.connected END,
       slow            = CASE WHEN excluded.epoch >= p.epoch THEN excluded.slow ELSE p.slow END,
       battery_percent = coalesce(excluded.battery_percent, p.battery_percent),
       charging        = CASE WHEN excluded.battery_percent IS NULL THEN p.charging ELSE excluded.charging END,
       network         = CASE WHEN excluded.battery_percent IS NULL THEN p.network ELSE excluded.network END,
       signal_percent  = CASE WHEN excluded.battery_percent IS NULL THEN p.signal_percent ELSE excluded.signal_percent END,
       version         = CASE WHEN excluded.battery_percent IS NULL THEN p.version ELSE excluded.version END,
       last_seen_time  = greatest(p.last_seen_time, excluded.last_seen_time);

-- GetTerminal finds a terminal of a merchant's.
-- name: GetTerminal :one
SELECT * FROM terminal_states AS t
 WHERE t.id = @id AND t.merchant_id = @merchant_id;

-- ListTerminals lists a merchant's terminals, newest first: of one store or of all
-- (null), in one state or in all (0).
-- name: ListTerminals :many
SELECT * FROM terminal_states AS t
 WHERE t.merchant_id = @merchant_id AND t.id < @before_id
   AND (sqlc.narg(store_id)::uuid IS NULL OR t.store_id = sqlc.narg(store_id))
   AND sqlc.arg(state)::int IN (0, t.state)
 ORDER BY t.id DESC
 LIMIT @max_rows;

-- ListConfigurations tells what terminals need to know to sell, and how they stand.
-- name: ListConfigurations :many
SELECT t.id, t.epoch, t.key_shared, (t.revoke_time IS NOT NULL)::bool AS revoked, (t.public_key IS NOT NULL)::bool AS active,
       t.revision, (t.locked OR t.key_shared)::bool AS locked, t.store_id, m.name AS merchant_name, m.time_zone,
       m.country, m.category_code, s.name AS store_name, s.city
  FROM terminals AS t
  JOIN merchants AS m ON m.id = t.merchant_id
  JOIN stores AS s ON s.id = t.store_id
 WHERE t.id = ANY(sqlc.arg(ids)::uuid[]);

-- GetTerminalSale tells whose a terminal is and whether it may sell.
-- name: GetTerminalSale :one
SELECT merchant_id, store_id, (locked OR key_shared)::bool AS locked,
       (public_key IS NOT NULL AND revoke_time IS NULL)::bool AS active
  FROM terminals WHERE id = @id;
