-- LockLog lets one replica at a time make the log's key.
-- name: LockLog :exec
SELECT pg_advisory_xact_lock(hashtextextended('tillbook.log_keys', 0));

-- ListLogKeys lists the keys that sign checkpoints, and those that did, oldest first.
-- name: ListLogKeys :many
SELECT * FROM log_keys ORDER BY create_time, id;

-- RetireLogKey lets a key sign no more.
-- name: RetireLogKey :exec
UPDATE log_keys SET retire_time = clock_timestamp() WHERE id = @id;

-- name: InsertLogKey :exec
INSERT INTO log_keys (id, verifier, sealed_key) VALUES (@id, @verifier, @sealed_key);
