-- LockKeys lets one caller at a time agree on the key in use.
-- name: LockKeys :exec
SELECT pg_advisory_xact_lock(hashtextextended('tillbook.secret_keys', 0));

-- PutReplica says that a replica is there.
-- name: PutReplica :exec
INSERT INTO replicas (id, name, version, sandbox, max_conns, keys, clock_time)
VALUES (@id, @name, @version, @sandbox, @max_conns, @keys, @clock_time)
ON CONFLICT ON CONSTRAINT replicas_pkey DO UPDATE
   SET keys = excluded.keys, seen_time = clock_timestamp(), clock_time = excluded.clock_time;

-- ListReplicas lists those that were seen within so many seconds.
-- name: ListReplicas :many
SELECT * FROM replicas
 WHERE seen_time > clock_timestamp() - sqlc.arg(seconds)::float8 * interval '1 second'
 ORDER BY start_time, id;

-- name: DeleteReplica :exec
DELETE FROM replicas WHERE id = @id;

-- DeleteDeadReplicas forgets those that were not seen for a day.
-- name: DeleteDeadReplicas :exec
DELETE FROM replicas WHERE seen_time < clock_timestamp() - interval '1 day';

-- ListSecretKeys lists the keys, the one in use first.
-- name: ListSecretKeys :many
SELECT * FROM secret_keys ORDER BY end_time IS NOT NULL, use_time DESC, id;

-- EndSecretKeys says that none of the keys is in use any more.
-- name: EndSecretKeys :exec
UPDATE secret_keys SET end_time = clock_timestamp() WHERE end_time IS NULL;

-- UseSecretKey puts a key in use.
-- name: UseSecretKey :exec
INSERT INTO secret_keys (id) VALUES (@id)
ON CONFLICT ON CONSTRAINT secret_keys_pkey DO UPDATE SET use_time = clock_timestamp(), end_time = NULL;

-- RetireSecretKey says that a key is needed no more.
-- name: RetireSecretKey :execrows
UPDATE secret_keys SET retire_time = clock_timestamp()
 WHERE id = @id AND end_time IS NOT NULL AND retire_time IS NULL;

-- ListSealedRows lists everything that is sealed.
-- name: ListSealedRows :many
SELECT 'server_keys'::text AS table_name, id, sealed_key FROM server_keys
UNION ALL
SELECT 'log_keys'::text, id, sealed_key FROM log_keys
 ORDER BY 1, 2;

-- ResealServerKey replaces a sealed key by the same under another.
-- name: ResealServerKey :execrows
UPDATE server_keys SET sealed_key = @sealed_key WHERE id = @id AND sealed_key = @old;

-- ResealLogKey replaces a sealed key by the same under another.
-- name: ResealLogKey :execrows
UPDATE log_keys SET sealed_key = @sealed_key WHERE id = @id AND sealed_key = @old;
