-- name: GetRole :one
SELECT role FROM staff WHERE merchant_id = @merchant_id AND user_id = @user_id;

-- AddStaff makes a user a member of the staff. Who is one keeps the higher role.
-- name: AddStaff :exec
INSERT INTO staff (merchant_id, user_id, role, create_time)
VALUES (@merchant_id, @user_id, @role, clock_timestamp())
ON CONFLICT ON CONSTRAINT staff_pkey DO UPDATE SET role = least(staff.role, excluded.role);

-- ListStaff lists who works for a merchant, the newest first.
-- name: ListStaff :many
SELECT s.user_id, s.role, s.create_time, u.username
  FROM staff AS s
  JOIN users AS u ON u.id = s.user_id
 WHERE s.merchant_id = @merchant_id
   AND (s.create_time, s.user_id) < (sqlc.arg(before_time)::timestamptz, sqlc.arg(before_id)::uuid)
 ORDER BY s.create_time DESC, s.user_id DESC
 LIMIT @max_rows;

-- RemoveStaff ends a user's work for a merchant if their role is at most so high.
-- name: RemoveStaff :execrows
DELETE FROM staff WHERE merchant_id = @merchant_id AND user_id = @user_id AND role >= sqlc.arg(highest)::smallint;

-- InsertInvitation adds an invitation for seven days, unless its key was used: then
-- there is no row.
-- name: InsertInvitation :one
INSERT INTO invitations (id, merchant_id, inviter_id, phone_number, role, key_hash, fingerprint, create_time, expire_time)
SELECT @id, @merchant_id, @inviter_id, @phone_number, @role, @key_hash, @fingerprint, clock.now, clock.now + interval '7 days'
  FROM (SELECT clock_timestamp() AS now) AS clock
ON CONFLICT ON CONSTRAINT invitations_key DO NOTHING
RETURNING id;

-- name: FindInvitationByKey :one
SELECT id, fingerprint FROM invitations WHERE key_hash = @key_hash;

-- name: GetInvitationOfMerchant :one
SELECT * FROM invitation_states WHERE id = @id AND merchant_id = @merchant_id;

-- name: FindInvitation :one
SELECT * FROM invitation_states WHERE id = @id;

-- GetInvitationOfUser finds an invitation for the user's phone number.
-- name: GetInvitationOfUser :one
SELECT i.* FROM invitation_states AS i
  JOIN users AS u ON u.phone_number = i.phone_number
 WHERE i.id = @id AND u.id = sqlc.arg(invited_id)::uuid;

-- name: ListInvitationsOfMerchant :many
SELECT * FROM invitation_states
 WHERE merchant_id = @merchant_id AND id < @before_id
 ORDER BY id DESC
 LIMIT @max_rows;

-- name: ListInvitationsOfUser :many
SELECT i.* FROM invitation_states AS i
 WHERE i.phone_number = (SELECT u.phone_number FROM users AS u WHERE u.id = sqlc.arg(invited_id)::uuid)
   AND i.id < @before_id
 ORDER BY i.id DESC
 LIMIT @max_rows;

-- CloseInvitation brings an open invitation to its end.
-- name: CloseInvitation :execrows
UPDATE invitations SET state = @state, user_id = @user_id
 WHERE id = @id AND state = 1 AND expire_time > clock_timestamp();

-- CancelInvitationsOf takes back what somebody invited who is gone.
-- name: CancelInvitationsOf :exec
UPDATE invitations SET state = 4
 WHERE merchant_id = @merchant_id AND inviter_id = @inviter_id AND state = 1 AND expire_time > clock_timestamp();
