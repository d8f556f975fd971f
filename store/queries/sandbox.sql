-- InsertSandboxMessage keeps a message and forgets those that are more than
-- kept messages older. Two senders never wait for each other's clearing up.
-- name: InsertSandboxMessage :exec
WITH added AS (
    INSERT INTO sandbox_messages (phone_number, text)
    VALUES (@phone_number, @text)
    RETURNING id
)
DELETE FROM sandbox_messages
 WHERE id IN (SELECT m.id
                FROM sandbox_messages m
               WHERE m.id <= (SELECT added.id FROM added) - @kept::bigint
               ORDER BY m.id
               LIMIT 100
                 FOR UPDATE SKIP LOCKED);

-- ListSandboxMessages lists a number's messages before an id, newest first.
-- name: ListSandboxMessages :many
SELECT id, phone_number, text, create_time
  FROM sandbox_messages
 WHERE phone_number = @phone_number
   AND id < @before_id
 ORDER BY id DESC
 LIMIT @max_rows;
