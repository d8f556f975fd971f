-- OpenShift begins a shift, unless its key was used or the terminal or the user has
-- an open one: then there is no row.
-- name: OpenShift :one
INSERT INTO shifts (id, merchant_id, store_id, terminal_id, user_id, key_hash, fingerprint, open_time)
VALUES (@id, @merchant_id, @store_id, @terminal_id, @user_id, @key_hash, @fingerprint, clock_timestamp())
ON CONFLICT DO NOTHING
RETURNING id;

-- name: FindShiftByKey :one
SELECT id, fingerprint FROM shifts WHERE key_hash = @key_hash;

-- name: GetShift :one
SELECT * FROM shifts WHERE id = @id AND merchant_id = @merchant_id;

-- CloseShift ends a shift, once.
-- name: CloseShift :exec
UPDATE shifts SET close_time = clock_timestamp() WHERE id = @id AND close_time IS NULL;

-- CloseShiftsOf ends the shifts of somebody who is gone.
-- name: CloseShiftsOf :exec
UPDATE shifts SET close_time = clock_timestamp() WHERE merchant_id = @merchant_id AND user_id = @user_id AND close_time IS NULL;

-- ListShifts lists a merchant's shifts, newest first; those of one user if there is
-- one.
-- name: ListShifts :many
SELECT * FROM shifts
 WHERE merchant_id = @merchant_id AND id < @before_id
   AND (sqlc.narg(user_id)::uuid IS NULL OR user_id = sqlc.narg(user_id))
 ORDER BY id DESC
 LIMIT @max_rows;
