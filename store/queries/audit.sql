-- ListAuditRecords lists records that pass all filters, newest first; an empty
-- filter lets everything through.
-- name: ListAuditRecords :many
SELECT * FROM audit_records
 WHERE id < @before_id
   AND (sqlc.narg(actor_id)::uuid IS NULL OR actor_id = sqlc.narg(actor_id)::uuid)
   AND (sqlc.arg(subject)::text = '' OR subject = sqlc.arg(subject)::text)
   AND (sqlc.arg(action_prefix)::text = '' OR starts_with(action, sqlc.arg(action_prefix)::text))
   AND (sqlc.narg(start_time)::timestamptz IS NULL OR create_time >= sqlc.narg(start_time)::timestamptz)
   AND (sqlc.narg(end_time)::timestamptz IS NULL OR create_time < sqlc.narg(end_time)::timestamptz)
 ORDER BY id DESC
 LIMIT @max_rows;
