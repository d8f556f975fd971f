-- InsertSandboxMessage keeps a message and forgets those that are kept messages
-- older.
-- name: InsertSandboxMessage :exec
WITH added AS (
    INSERT INTO sandbox_messages (phone_number, text)
    VALUES (@phone_number, @text)
    RETURNING id
)
DELETE FROM sandbox_messages
 WHERE id <= (SELECT added.id FROM added) - @kept::bigint;

-- ListSandboxMessages lists a number's messages before an id, newest first.
-- name: ListSandboxMessages :many
SELECT id, phone_number, text, create_time
  FROM sandbox_messages
 WHERE phone_number = @phone_number
   AND id < @before_id
 ORDER BY id DESC
 LIMIT @max_rows;
