-- GetHorizon returns a number below which every transaction has ended. It is behind
-- the last event and no further: numbers that nobody has told of may be given again
-- after a failover.
-- name: GetHorizon :one
SELECT coalesce(max(l.xid) + 1, 1)::bigint AS horizon
  FROM events AS l WHERE l.xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint;

-- ListToldMerchants lists whom something was told in transactions from one on and
-- before another, with the traces that caused it, newest first.
-- name: ListToldMerchants :many
SELECT e.subject, coalesce(array_agg(e.trace ORDER BY e.xid DESC, e.id DESC) FILTER (WHERE e.trace IS NOT NULL), '{}')::text[] AS traces
  FROM events AS e
 WHERE e.xid >= sqlc.arg(first_xid)::bigint AND e.xid < sqlc.arg(horizon)::bigint
   AND e.subject >= 'merchant/' AND e.subject < 'merchant0'
 GROUP BY e.subject;

-- TellMerchant tells a merchant something.
-- name: TellMerchant :exec
INSERT INTO events (type, subject, payload) VALUES (@type, @subject, @payload);

-- ListEventsOfMerchant lists what a merchant was told behind a place, up to the
-- horizon.
-- name: ListEventsOfMerchant :many
SELECT e.xid, e.id, e.type, e.subject, e.payload, coalesce(e.trace, '')::text AS trace
  FROM events AS e
 WHERE e.subject = @subject AND e.subject <> ''
   AND (e.xid, e.id) > (sqlc.arg(after_xid)::bigint, sqlc.arg(after_id)::bigint) AND e.xid < sqlc.arg(horizon)::bigint
   AND (e.type LIKE 'checkout.%' OR e.type = 'terminal.alert')
 ORDER BY e.xid, e.id
 LIMIT @max_rows;
