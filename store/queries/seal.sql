-- LockLog lets one replica at a time make the log's key.
-- name: LockLog :exec
SELECT pg_advisory_xact_lock(hashtextextended('tillbook.log_keys', 0));

-- GetLogKey returns the key that signs checkpoints.
-- name: GetLogKey :one
SELECT id, verifier, sealed_key FROM log_keys ORDER BY create_time, id LIMIT 1;

-- name: InsertLogKey :exec
INSERT INTO log_keys (id, verifier, sealed_key) VALUES (@id, @verifier, @sealed_key);
