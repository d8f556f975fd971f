-- FindRegistration says whether the number or the name belongs to somebody.
-- name: FindRegistration :one
SELECT EXISTS (SELECT 1 FROM users AS u WHERE u.phone_number = @phone_number) AS phone_known,
       EXISTS (SELECT 1 FROM users AS n WHERE lower(n.username) = lower(@username::text)) AS username_taken;

-- name: InsertUser :one
INSERT INTO users (id, phone_number, username, password_hash, password_time, create_time)
VALUES (@id, @phone_number, @username, @password_hash, @now::timestamptz, @now)
RETURNING *;

-- name: GetUser :one
SELECT * FROM users WHERE id = @id;

-- FindLogin finds the account of a number and, if the device that asks is one of
-- its own, the device.
-- name: FindLogin :one
SELECT u.id, u.password_hash, u.password_time, d.id AS device_id
  FROM users AS u
  LEFT JOIN devices AS d
    ON d.user_id = u.id AND d.token_hash = @device_token_hash AND d.expire_time > @now::timestamptz
 WHERE u.phone_number = @phone_number;

-- ShareUser reads a user and keeps the password from changing until the end of
-- the transaction.
-- name: ShareUser :one
SELECT * FROM users WHERE id = @id FOR SHARE;

-- LockUser reads a user for changing the password.
-- name: LockUser :one
SELECT * FROM users WHERE id = @id FOR NO KEY UPDATE;

-- name: SetPassword :exec
UPDATE users SET password_hash = @password_hash, password_time = @now WHERE id = @id;

-- RehashPassword replaces the hash of a password that stays the same.
-- name: RehashPassword :exec
UPDATE users SET password_hash = @new_hash WHERE id = @id AND password_hash = @old_hash::text;

-- name: InsertChallenge :exec
INSERT INTO challenges (id, purpose, phone_number, user_id, username, password_hash, device_name,
                        code_hash, create_time, resend_time, expire_time)
VALUES (@id, @purpose, @phone_number, @user_id, @username, @password_hash, @device_name,
        @code_hash, @create_time, @resend_time, @expire_time);

-- TryChallenge counts one try before the code is compared, so that however many
-- replicas are asked at once, no more than the fixed number of codes is ever
-- looked at.
-- name: TryChallenge :one
UPDATE challenges
   SET tries = tries + 1
 WHERE id = @id
   AND purpose = @purpose
   AND tries < 5
   AND use_time IS NULL
   AND expire_time > @now
RETURNING *;

-- name: GetChallenge :one
SELECT * FROM challenges WHERE id = @id;

-- UseChallenge spends a solved challenge and forgets what it kept.
-- name: UseChallenge :execrows
UPDATE challenges
   SET use_time = @now::timestamptz, username = NULL, password_hash = NULL
 WHERE id = @id AND use_time IS NULL;

-- RenewChallenge puts a new code in the place of the old one. The tries stay.
-- name: RenewChallenge :one
UPDATE challenges
   SET code_hash = @code_hash, sends = sends + 1,
       resend_time = @resend_time, expire_time = @expire_time
 WHERE id = @id
   AND tries < 5
   AND sends < @max_sends::smallint
   AND use_time IS NULL
   AND expire_time > @now::timestamptz
   AND resend_time <= @now
RETURNING *;

-- CancelChallenges spends all of a user's open challenges.
-- name: CancelChallenges :exec
UPDATE challenges
   SET use_time = @now::timestamptz
 WHERE user_id = @user_id::uuid AND use_time IS NULL;

-- name: InsertDevice :exec
INSERT INTO devices (id, user_id, token_hash, name, create_time, last_time, expire_time)
VALUES (@id, @user_id, @token_hash, @name, @now::timestamptz, @now, @expire_time);

-- TouchDevice notes a sign-in on a device. No row means that the device was
-- revoked in the meantime.
-- name: TouchDevice :execrows
UPDATE devices
   SET last_time = @now, expire_time = @expire_time, name = @name
 WHERE id = @id AND user_id = @user_id;

-- TrimDevices forgets a user's least used devices beyond a number of them.
-- name: TrimDevices :exec
DELETE FROM devices
 WHERE id IN (SELECT d.id
                FROM devices AS d
               WHERE d.user_id = @user_id
               ORDER BY d.last_time DESC, d.id DESC
              OFFSET @kept::integer);

-- name: DeleteDevice :exec
DELETE FROM devices WHERE id = @id AND user_id = @user_id;

-- name: DeleteDevicesOfUser :exec
DELETE FROM devices WHERE user_id = @user_id;

-- name: InsertSession :one
INSERT INTO sessions (id, user_id, device_id, device_name, create_time, last_refresh_time, expire_time)
VALUES (@id, @user_id, @device_id, @device_name, @now::timestamptz, @now, @expire_time)
RETURNING *;

-- name: InsertRefreshToken :exec
INSERT INTO refresh_tokens (token_hash, session_id, generation)
VALUES (@token_hash, @session_id, @generation);

-- name: FindRefreshToken :one
SELECT * FROM refresh_tokens WHERE token_hash = @token_hash;

-- name: GetRefreshToken :one
SELECT * FROM refresh_tokens WHERE session_id = @session_id AND generation = @generation;

-- name: LockSession :one
SELECT * FROM sessions WHERE id = @id FOR NO KEY UPDATE;

-- name: AdvanceSession :exec
UPDATE sessions
   SET generation = @generation, last_refresh_time = @now
 WHERE id = @id;

-- name: GetSession :one
SELECT * FROM sessions WHERE id = @id AND user_id = @user_id;

-- name: ListSessions :many
SELECT * FROM sessions
 WHERE user_id = @user_id
   AND id < @before_id
   AND revoke_time IS NULL
   AND expire_time > @now
 ORDER BY id DESC
 LIMIT @max_rows;

-- EndSession ends one session and tells the replicas.
-- name: EndSession :many
WITH ended AS (
    UPDATE sessions
       SET revoke_time = @now::timestamptz, revoke_reason = @reason::text
     WHERE id = @id AND user_id = @user_id AND revoke_time IS NULL
    RETURNING id
)
INSERT INTO session_revocations (session_id, create_time)
SELECT ended.id, @now::timestamptz FROM ended
RETURNING session_id;

-- EndSessionsOfUser ends a user's sessions but for one and tells the replicas.
-- name: EndSessionsOfUser :many
WITH ended AS (
    UPDATE sessions
       SET revoke_time = @now::timestamptz, revoke_reason = @reason::text
     WHERE user_id = @user_id AND id <> @kept_id AND revoke_time IS NULL
       AND expire_time > @now
    RETURNING id
)
INSERT INTO session_revocations (session_id, create_time)
SELECT ended.id, @now::timestamptz FROM ended
RETURNING session_id;

-- TrimSessions ends a user's oldest live sessions beyond a number of them.
-- name: TrimSessions :many
WITH ended AS (
    UPDATE sessions
       SET revoke_time = @now::timestamptz, revoke_reason = @reason::text
     WHERE sessions.id IN (SELECT s.id
                    FROM sessions AS s
                   WHERE s.user_id = @user_id AND s.revoke_time IS NULL AND s.expire_time > @now
                   ORDER BY s.id DESC
                  OFFSET @kept::integer)
    RETURNING id
)
INSERT INTO session_revocations (session_id, create_time)
SELECT ended.id, @now::timestamptz FROM ended
RETURNING session_id;

-- ListRevocations lists what was revoked from a transaction id on, and in each
-- row the horizon: below it no transaction is under way any more, so the next
-- call may begin there and skips none. What commits above the horizon is listed
-- at once and then again. Without revocations there is one row with the horizon.
-- name: ListRevocations :many
SELECT h.horizon::bigint AS horizon, r.session_id, r.create_time
  FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon) AS h
  LEFT JOIN session_revocations AS r ON r.xid >= @from_xid::bigint;

-- LockServerKeys lets one replica at a time make keys.
-- name: LockServerKeys :exec
SELECT pg_advisory_xact_lock(hashtextextended('tillbook.server_keys', 0));

-- name: ListServerKeys :many
SELECT * FROM server_keys ORDER BY kind, use_time, id;

-- name: InsertServerKey :exec
INSERT INTO server_keys (id, kind, public_key, sealed_key, create_time, use_time)
VALUES (@id, @kind, @public_key, @sealed_key, @create_time, @use_time);

-- name: DeleteServerKey :exec
DELETE FROM server_keys WHERE id = @id;

-- InsertEvent tells the followers of events what this transaction did.
-- name: InsertEvent :exec
INSERT INTO events (type, subject, payload)
VALUES (@type, @subject, @payload);

-- name: DeleteOldChallenges :execrows
DELETE FROM challenges
 WHERE id IN (SELECT c.id FROM challenges AS c WHERE c.expire_time < @before
               ORDER BY c.expire_time LIMIT @max_rows FOR UPDATE SKIP LOCKED);

-- name: DeleteOldSessions :execrows
DELETE FROM sessions
 WHERE id IN (SELECT s.id FROM sessions AS s WHERE s.expire_time < @before
               ORDER BY s.expire_time LIMIT @max_rows FOR UPDATE SKIP LOCKED);

-- name: DeleteOldDevices :execrows
DELETE FROM devices
 WHERE id IN (SELECT d.id FROM devices AS d WHERE d.expire_time < @before
               ORDER BY d.expire_time LIMIT @max_rows FOR UPDATE SKIP LOCKED);

-- name: DeleteOldRevocations :execrows
DELETE FROM session_revocations
 WHERE (xid, session_id) IN (
       SELECT r.xid, r.session_id FROM session_revocations AS r WHERE r.create_time < @before
        ORDER BY r.create_time LIMIT @max_rows);
