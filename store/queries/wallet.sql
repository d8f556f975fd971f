-- FindPayeeByPhone finds who is paid under a phone number in E.164 form.
-- name: FindPayeeByPhone :one
SELECT id, username
  FROM users
 WHERE phone_number = @phone_number;

-- FindPayeeByUsername finds who is paid under a name given in lower case.
-- name: FindPayeeByUsername :one
SELECT id, username
  FROM users
 WHERE lower(username) = @username::text;

-- FindPayeeByID finds who is paid under an id.
-- name: FindPayeeByID :one
SELECT id, username
  FROM users
 WHERE id = @id;

-- ListPayees lists the names of several users.
-- name: ListPayees :many
SELECT id, username
  FROM users
 WHERE id = ANY(@ids::uuid[]);

-- ListNewestPayees lists the names of those who registered last.
-- name: ListNewestPayees :many
SELECT id, username
  FROM users
 ORDER BY id DESC
 LIMIT @count;
