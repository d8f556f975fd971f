-- FindUserForOperator finds a user by whatever is given.
-- name: FindUserForOperator :one
SELECT u.id, u.phone_number, u.username, u.create_time
  FROM users AS u
 WHERE u.id = sqlc.arg(id)::uuid
    OR u.phone_number = sqlc.arg(phone_number)::text
    OR lower(u.username) = lower(sqlc.arg(username)::text);

-- LockUserForErasure keeps a user from signing in or being erased twice.
-- name: LockUserForErasure :one
SELECT id, phone_number FROM users WHERE id = @id FOR UPDATE;

-- name: DeleteChallengesOfPhone :exec
DELETE FROM challenges WHERE user_id = sqlc.arg(user_id)::uuid OR phone_number = @phone_number;

-- name: DeleteSessionsOfUser :exec
DELETE FROM sessions WHERE user_id = @user_id;

-- name: DeleteUser :exec
SELECT erase_user(sqlc.arg(id)::uuid);

-- name: DeleteMessagesOfPhone :exec
DELETE FROM sandbox_messages WHERE phone_number = @phone_number;

-- ListTextsOfAccount lists an account's transactions behind a version, with those
-- texts that aren't erased.
-- name: ListTextsOfAccount :many
SELECT e.version, t.id, t.fingerprint, t.salt, coalesce(t.note, '')::text AS note, t.details,
       (t.note IS NOT NULL OR t.details IS NOT NULL)::boolean AS has_text
  FROM account_entries AS e
  JOIN transactions AS t ON t.id = e.transaction_id
 WHERE e.account_id = @account_id AND e.version > @after
 ORDER BY e.version
 LIMIT @max_rows;

-- EraseTransactionTexts erases texts and keeps what was sealed of them.
-- name: EraseTransactionTexts :one
SELECT erase_transaction_texts(sqlc.arg(ids)::uuid[], sqlc.arg(commitments)::bytea[])::bigint AS erased;

-- ListAuditDetails lists records by a user or about one that still say more than
-- who did what.
-- name: ListAuditDetails :many
SELECT * FROM audit_records
 WHERE (actor_id = sqlc.arg(user_id)::uuid OR subject = sqlc.arg(subject)::text)
   AND commitment IS NULL AND salt IS NOT NULL AND action <> 'user.erased'
 LIMIT @max_rows;

-- EraseAuditDetails erases what can be erased of records.
-- name: EraseAuditDetails :one
SELECT erase_audit_details(sqlc.arg(ids)::uuid[], sqlc.arg(commitments)::bytea[])::bigint AS erased;

-- LockAccountsOfOwner keeps money from coming to or going from an owner, and tells
-- what there is. Accounts are locked in the order in which batches lock them.
-- name: LockAccountsOfOwner :many
SELECT id, (balance = 0 AND held = 0)::boolean AS empty
  FROM accounts
 WHERE (code >= sqlc.arg(own)::text AND code < sqlc.arg(own)::text || '~')
    OR (code >= sqlc.arg(owed)::text AND code < sqlc.arg(owed)::text || '~')
 ORDER BY id
   FOR NO KEY UPDATE;

-- EraseHoldReferences erases what holds on a user's money are for.
-- name: EraseHoldReferences :exec
UPDATE holds SET reference = ''
 WHERE reference <> '' AND account_id = ANY (sqlc.arg(accounts)::bigint[]);

-- ListMerchantsOwned lists the merchants that a user owns.
-- name: ListMerchantsOwned :many
SELECT id FROM merchants WHERE owner_id = @owner_id ORDER BY id;

-- DeleteStaffOfUser ends all of a user's work.
-- name: DeleteStaffOfUser :exec
DELETE FROM staff WHERE user_id = @user_id;

-- name: DeleteInvitationsOfPhone :exec
DELETE FROM invitations WHERE phone_number = @phone_number;
