-- LockOpenCheckouts lets one checkout of a terminal, or of a merchant, be made at a
-- time, so that the number of open ones is bounded.
-- name: LockOpenCheckouts :exec
SELECT pg_advisory_xact_lock(hashtextextended('tillbook.checkouts/' || sqlc.arg(counter)::text, 0));

-- CountOpenAtTerminal counts the checkouts at a terminal that can still be paid.
-- name: CountOpenAtTerminal :one
SELECT count(*)
  FROM checkouts AS c
 WHERE c.merchant_id = @merchant_id
   AND c.terminal_id = @terminal_id::uuid
   AND c.due_time IS NOT NULL
   AND c.expire_time > clock_timestamp()
   AND NOT EXISTS (SELECT 1 FROM resolutions AS r WHERE r.subject = c.id);

-- CountOpenElsewhere counts a merchant's checkouts without a terminal that can still
-- be paid.
-- name: CountOpenElsewhere :one
SELECT count(*)
  FROM checkouts AS c
 WHERE c.merchant_id = @merchant_id
   AND c.terminal_id IS NULL
   AND c.due_time IS NOT NULL
   AND c.expire_time > clock_timestamp()
   AND NOT EXISTS (SELECT 1 FROM resolutions AS r WHERE r.subject = c.id);

-- FindCheckoutByKey finds what a key was used for.
-- name: FindCheckoutByKey :one
SELECT id, fingerprint FROM checkouts WHERE key_hash = @key_hash;

-- GetStoreCounter finds a store of a merchant, with the fee rate in force.
-- name: GetStoreCounter :one
SELECT s.id AS store_id, coalesce(f.basis_points, 0)::int AS fee_basis_points, coalesce(f.fixed, 0)::text AS fee_fixed
  FROM stores AS s
  JOIN merchants AS m ON m.id = s.merchant_id
  LEFT JOIN fee_rates AS f ON f.plan = m.fee_plan AND f.asset_id = @asset_id
 WHERE s.id = @store_id AND s.merchant_id = @merchant_id;

-- GetTerminalCounter finds the store of a merchant's terminal, with the fee rate in
-- force.
-- name: GetTerminalCounter :one
SELECT s.id AS store_id, coalesce(f.basis_points, 0)::int AS fee_basis_points, coalesce(f.fixed, 0)::text AS fee_fixed
  FROM terminals AS t
  JOIN stores AS s ON s.id = t.store_id
  JOIN merchants AS m ON m.id = s.merchant_id
  LEFT JOIN fee_rates AS f ON f.plan = m.fee_plan AND f.asset_id = @asset_id
 WHERE t.id = @terminal_id AND s.merchant_id = @merchant_id;

-- InsertCheckout adds a checkout, unless its key or its code was used, and tells so.
-- Amounts are integers of the asset's smallest unit. No row means that one of them
-- was, or that the expiry is out of bounds.
-- name: InsertCheckout :one
WITH made AS (
    INSERT INTO checkouts (id, merchant_id, store_id, terminal_id, created_by, code, asset_id, amount, reference, items,
                           tip_allowed, tip_percentages, capture, fee_basis_points, fee_fixed, key_hash, fingerprint,
                           create_time, expire_time, due_time)
    SELECT @id, @merchant_id, @store_id, sqlc.narg(terminal_id), sqlc.narg(created_by), @code, @asset_id, sqlc.arg(amount)::text::numeric,
           @reference, @items, @tip_allowed, @tip_percentages, @capture, @fee_basis_points, sqlc.arg(fee_fixed)::text::numeric,
           @key_hash, @fingerprint, clock.now, e.expire_time, e.expire_time
      FROM (SELECT clock_timestamp() AS now) AS clock, (SELECT sqlc.arg(expire_time)::timestamptz AS expire_time) AS e
     WHERE e.expire_time > clock.now AND e.expire_time <= clock.now + interval '24 hours'
    ON CONFLICT DO NOTHING
    RETURNING id
), told AS (
    INSERT INTO events (type, subject, payload)
    SELECT sqlc.arg(event_type)::text, s.subject, jsonb_build_object('checkout', made.id)
      FROM made, unnest(sqlc.arg(event_subjects)::text[]) AS s (subject)
)
SELECT id FROM made;

-- GetCheckout finds a checkout, of a merchant and at a terminal if these are given.
-- name: GetCheckout :one
SELECT * FROM checkout_states
 WHERE id = @id
   AND (sqlc.narg(merchant_id)::uuid IS NULL OR merchant_id = sqlc.narg(merchant_id)::uuid)
   AND (sqlc.narg(terminal_id)::uuid IS NULL OR terminal_id = sqlc.narg(terminal_id)::uuid);

-- GetCheckoutByCode finds a checkout by its code.
-- name: GetCheckoutByCode :one
SELECT * FROM checkout_states WHERE code = @code;

-- ListCheckoutsByID finds several checkouts at once, each by its id: OFFSET 0 keeps
-- the planner from joining whole tables, so one plan does for any number of them.
-- name: ListCheckoutsByID :many
SELECT s.*
  FROM unnest(sqlc.arg(ids)::uuid[]) AS w (id)
 CROSS JOIN LATERAL (SELECT * FROM checkout_states AS c WHERE c.id = w.id OFFSET 0) AS s
 ORDER BY s.id DESC;

-- ListCheckouts lists a merchant's checkouts, newest first: those of a store and a
-- terminal if these are given, in one state or in all (0).
-- name: ListCheckouts :many
SELECT * FROM checkout_states
 WHERE merchant_id = @merchant_id AND id < @before_id
   AND (sqlc.narg(store_id)::uuid IS NULL OR store_id = sqlc.narg(store_id)::uuid)
   AND (sqlc.narg(terminal_id)::uuid IS NULL OR terminal_id = sqlc.narg(terminal_id)::uuid)
   AND sqlc.arg(state)::int IN (0, state)
 ORDER BY id DESC
 LIMIT @max_rows;

-- ResolveCheckouts ends open checkouts without money, before their expiry or, if
-- they are to expire, from then on; and tells so. It returns those that it ended.
-- Rows are in the order of ids in which batches of payments insert them, too.
-- name: ResolveCheckouts :many
WITH clock AS (
    SELECT clock_timestamp() AS now
), open AS (
    SELECT c.id, k.now FROM checkouts AS c, clock AS k
     WHERE c.id = ANY (sqlc.arg(ids)::uuid[]) AND c.due_time IS NOT NULL
       AND (c.expire_time <= k.now) = sqlc.arg(expired)::boolean
     ORDER BY c.id FOR NO KEY UPDATE OF c
), resolved AS (
    INSERT INTO resolutions (subject, outcome, create_time)
    SELECT o.id, sqlc.arg(outcome)::smallint, o.now FROM open AS o ORDER BY o.id
    ON CONFLICT ON CONSTRAINT resolutions_pkey DO NOTHING
    RETURNING subject
), ended AS (
    UPDATE checkouts AS c SET due_time = NULL FROM resolved AS r WHERE c.id = r.subject
), told AS (
    INSERT INTO events (type, subject, payload)
    SELECT sqlc.arg(type)::text, e.subject, jsonb_build_object('checkout', e.id)
      FROM (SELECT unnest(sqlc.arg(event_ids)::uuid[]) AS id, unnest(sqlc.arg(event_subjects)::text[]) AS subject) AS e
      JOIN resolved AS r ON r.subject = e.id
)
SELECT subject FROM resolved;

-- TellCheckouts tells something about checkouts.
-- name: TellCheckouts :exec
INSERT INTO events (type, subject, payload)
SELECT sqlc.arg(type)::text, e.subject, jsonb_build_object('checkout', e.id)
  FROM (SELECT unnest(sqlc.arg(event_ids)::uuid[]) AS id, unnest(sqlc.arg(event_subjects)::text[]) AS subject) AS e;

-- MarkDispatched notes that checkouts were sent to their terminals, the first time.
-- name: MarkDispatched :many
UPDATE checkouts AS c SET dispatch_time = clock_timestamp()
 WHERE c.id IN (SELECT n.id FROM checkouts AS n WHERE n.id = ANY (sqlc.arg(ids)::uuid[]) ORDER BY n.id FOR NO KEY UPDATE)
   AND c.dispatch_time IS NULL AND c.due_time IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM resolutions AS r WHERE r.subject = c.id)
RETURNING c.id, c.merchant_id, c.terminal_id;

-- MarkAcknowledged notes that terminals show checkouts, the first time.
-- name: MarkAcknowledged :many
UPDATE checkouts AS c SET acknowledge_time = clock_timestamp(), dispatch_time = coalesce(c.dispatch_time, clock_timestamp())
 WHERE c.id IN (SELECT n.id FROM checkouts AS n WHERE n.id = ANY (sqlc.arg(ids)::uuid[]) ORDER BY n.id FOR NO KEY UPDATE)
   AND c.acknowledge_time IS NULL AND c.due_time IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM resolutions AS r WHERE r.subject = c.id)
RETURNING c.id, c.merchant_id, c.terminal_id;

-- LockDueCheckouts takes those that are due and that no other replica looks at.
-- name: LockDueCheckouts :many
SELECT c.id, c.merchant_id, c.terminal_id, coalesce(c.trace, '')::text AS trace FROM checkouts AS c
 WHERE c.due_time <= clock_timestamp()
 ORDER BY c.due_time LIMIT @max_rows
   FOR NO KEY UPDATE SKIP LOCKED;

-- SettleDueCheckouts sees to what was due but hasn't expired just now: what has
-- ended isn't looked at again, and what is authorized once its hold is over. It
-- returns those whose hold has expired. Rows are locked in the order of ids, as all
-- who change several do.
-- name: SettleDueCheckouts :many
WITH due AS (
    UPDATE checkouts AS c
       SET due_time = CASE WHEN r.outcome = 4 AND h.state = 1
                           THEN greatest(h.expire_time, clock_timestamp() + interval '1 second') END
      FROM resolutions AS r
      LEFT JOIN holds AS h ON h.id = r.subject
     WHERE c.id IN (SELECT n.id FROM checkouts AS n WHERE n.id = ANY (sqlc.arg(ids)::uuid[]) ORDER BY n.id FOR NO KEY UPDATE)
       AND c.due_time IS NOT NULL AND r.subject = c.id
    RETURNING c.id, (r.outcome = 4 AND h.state = 4)::boolean AS expired
)
SELECT id FROM due WHERE expired;

-- PutPaymentCode gives a user another code than before.
-- name: PutPaymentCode :one
INSERT INTO payment_codes (user_id, code_hash, asset_id, maximum, expire_time)
VALUES (@user_id, @code_hash, @asset_id, sqlc.arg(maximum)::text::numeric, clock_timestamp() + interval '60 seconds')
ON CONFLICT ON CONSTRAINT payment_codes_pkey DO UPDATE
   SET code_hash = excluded.code_hash, asset_id = excluded.asset_id, maximum = excluded.maximum, expire_time = excluded.expire_time
RETURNING expire_time;

-- GetPaymentCode finds a code that can still be used, as far as time goes.
-- name: GetPaymentCode :one
SELECT user_id, asset_id, maximum::text AS maximum, expire_time
  FROM payment_codes WHERE code_hash = @code_hash AND expire_time > clock_timestamp();

-- DeletePaymentCode deletes a user's code.
-- name: DeletePaymentCode :exec
DELETE FROM payment_codes WHERE user_id = @user_id;

-- GetStoreNames finds what a store and its merchant are called.
-- name: GetStoreNames :one
SELECT s.name AS store_name, m.name AS merchant_name
  FROM stores AS s JOIN merchants AS m ON m.id = s.merchant_id
 WHERE s.id = @id;

-- ListMerchantNames finds what merchants are called.
-- name: ListMerchantNames :many
SELECT id, name FROM merchants WHERE id = ANY (sqlc.arg(ids)::uuid[]);
