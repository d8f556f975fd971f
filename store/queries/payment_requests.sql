-- LockRequester lets one request of a user be made at a time, so that the number
-- of open ones is bounded.
-- name: LockRequester :exec
SELECT pg_advisory_xact_lock(hashtextextended('tillbook.payment_requests/' || sqlc.arg(requester)::text, 0));

-- CountOpenPaymentRequests counts a user's requests that can still be paid.
-- name: CountOpenPaymentRequests :one
SELECT count(*)
  FROM payment_requests AS p
 WHERE p.requester_id = @requester_id
   AND p.expire_time > clock_timestamp()
   AND NOT EXISTS (SELECT 1 FROM resolutions AS r WHERE r.subject = p.id);

-- InsertPaymentRequest adds a request, unless its key was used. Amounts are
-- integers of the asset's smallest unit. No row means that it was, or that the
-- expiry is out of bounds.
-- name: InsertPaymentRequest :one
INSERT INTO payment_requests (id, requester_id, payer_id, asset_id, amount, note, key_hash, fingerprint, create_time, expire_time)
SELECT @id, @requester_id, @payer_id, @asset_id, sqlc.arg(amount)::text::numeric, @note, @key_hash, @fingerprint, clock_timestamp(), sqlc.arg(expire_time)::timestamptz
 WHERE sqlc.arg(expire_time)::timestamptz > clock_timestamp()
   AND sqlc.arg(expire_time)::timestamptz <= clock_timestamp() + interval '30 days'
ON CONFLICT ON CONSTRAINT payment_requests_key DO NOTHING
RETURNING id;

-- FindPaymentRequestByKey finds what a key was used for.
-- name: FindPaymentRequestByKey :one
SELECT id, fingerprint FROM payment_requests WHERE key_hash = @key_hash;

-- GetPaymentRequest finds a request of one of its two sides.
-- name: GetPaymentRequest :one
SELECT * FROM payment_request_states WHERE id = @id AND sqlc.arg(user_id)::uuid IN (requester_id, payer_id);

-- ListSentPaymentRequests lists what a user asked for, newest first, in one state
-- or in all (0).
-- name: ListSentPaymentRequests :many
SELECT * FROM payment_request_states
 WHERE requester_id = @user_id AND id < @before_id AND sqlc.arg(state)::int IN (0, state)
 ORDER BY id DESC
 LIMIT @max_rows;

-- ListReceivedPaymentRequests lists what a user was asked for, newest first.
-- name: ListReceivedPaymentRequests :many
SELECT * FROM payment_request_states
 WHERE payer_id = @user_id AND id < @before_id AND sqlc.arg(state)::int IN (0, state)
 ORDER BY id DESC
 LIMIT @max_rows;

-- ResolvePaymentRequest ends a request without paying it, unless it has ended or
-- expired.
-- name: ResolvePaymentRequest :execrows
INSERT INTO resolutions (subject, outcome, create_time)
SELECT p.id, sqlc.arg(outcome)::smallint, clock.now
  FROM payment_requests AS p, (SELECT clock_timestamp() AS now) AS clock
 WHERE p.id = @id
   AND p.expire_time > clock.now
ON CONFLICT ON CONSTRAINT resolutions_pkey DO NOTHING;

-- ErasePaymentRequestNotes erases what a user wrote or was written to.
-- name: ErasePaymentRequestNotes :exec
UPDATE payment_requests SET note = '' WHERE sqlc.arg(user_id)::uuid IN (requester_id, payer_id) AND note <> '';
