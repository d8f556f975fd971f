-- TakeToken takes one token out of a bucket: it moves the theoretical arrival
-- time on by one step, unless that is later than latest. No row means that the
-- bucket is empty; nothing changed then. A bucket that isn't there begins as full as
-- the ones of the earlier names are.
-- name: TakeToken :one
INSERT INTO rate_limits AS r (key, tat)
SELECT @key, greatest(sqlc.arg(now)::timestamptz, max(old.tat)) + sqlc.arg(step_us)::bigint * interval '1 microsecond'
  FROM rate_limits AS old
 WHERE old.key = ANY (sqlc.arg(earlier)::bytea[])
HAVING max(old.tat) IS NULL OR max(old.tat) <= sqlc.arg(latest)::timestamptz
    OR EXISTS (SELECT FROM rate_limits AS same WHERE same.key = @key)
ON CONFLICT ON CONSTRAINT rate_limits_pkey DO UPDATE
   SET tat = greatest(r.tat, sqlc.arg(now)::timestamptz) + sqlc.arg(step_us)::bigint * interval '1 microsecond'
 WHERE r.tat <= sqlc.arg(latest)::timestamptz
RETURNING tat;

-- GetBucketTime reads a bucket or, if it isn't there, the emptiest of the earlier names.
-- name: GetBucketTime :one
SELECT tat FROM rate_limits
 WHERE key = @key OR key = ANY (sqlc.arg(earlier)::bytea[])
 ORDER BY (key = @key) DESC, tat DESC LIMIT 1;

-- ReturnToken puts one token back.
-- name: ReturnToken :exec
UPDATE rate_limits
   SET tat = tat - sqlc.arg(step_us)::bigint * interval '1 microsecond'
 WHERE key = @key;

-- name: DeleteBucket :exec
DELETE FROM rate_limits WHERE key = ANY (sqlc.arg(keys)::bytea[]);

-- DeleteFullBuckets forgets buckets that are full again, which is what a missing
-- row means.
-- name: DeleteFullBuckets :execrows
DELETE FROM rate_limits
 WHERE key IN (SELECT r.key
                 FROM rate_limits AS r
                WHERE r.tat < @now::timestamptz
                LIMIT @max_rows
                  FOR UPDATE SKIP LOCKED);

-- CarryBuckets has buckets that aren't there begin as empty as the emptiest of their
-- earlier names, of which each stands beside the name that it has now.
-- name: CarryBuckets :exec
INSERT INTO rate_limits (key, tat)
SELECT e.key, max(old.tat)
  FROM (SELECT unnest(sqlc.arg(keys)::bytea[]) AS key, unnest(sqlc.arg(earlier)::bytea[]) AS earlier) AS e
  JOIN rate_limits AS old ON old.key = e.earlier
 GROUP BY e.key ORDER BY e.key
    ON CONFLICT ON CONSTRAINT rate_limits_pkey DO NOTHING;

-- SpendTokens takes tokens out of many buckets, whether they are there or not: a
-- bucket that owes some is empty for as much longer.
-- name: SpendTokens :many
INSERT INTO rate_limits AS r (key, tat)
SELECT s.key, sqlc.arg(now)::timestamptz + s.cost_us * interval '1 microsecond'
  FROM (SELECT unnest(sqlc.arg(keys)::bytea[]) AS key, unnest(sqlc.arg(costs_us)::bigint[]) AS cost_us) AS s
 ORDER BY s.key
ON CONFLICT ON CONSTRAINT rate_limits_pkey DO UPDATE
   SET tat = greatest(r.tat, sqlc.arg(now)::timestamptz) + (excluded.tat - sqlc.arg(now)::timestamptz)
RETURNING key, tat;
