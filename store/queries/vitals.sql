-- GetVitals tells since when the oldest waits of what should have been done: of
-- commits to be sealed, of events that can't be read yet because an older transaction
-- is open, and of jobs. Where nothing waits it is now or later. It also counts the
-- standbys that stream.
-- name: GetVitals :one
SELECT k.now::timestamptz AS now,
       coalesce((SELECT e.create_time FROM events AS e
                  WHERE e.xid >= (SELECT cursor FROM log_head) AND e.type IN ('ledger.committed', 'audit.recorded')
                    AND NOT EXISTS (SELECT 1 FROM log_batches AS b WHERE b.event_id = e.id)
                  ORDER BY e.xid, e.id LIMIT 1), k.now)::timestamptz AS unsealed,
       coalesce((SELECT min(e.create_time) FROM events AS e
                  WHERE e.xid >= pg_snapshot_xmin(pg_current_snapshot())::text::bigint), k.now)::timestamptz AS hidden,
       coalesce((SELECT m.settle_time FROM merchants AS m WHERE m.settle_time IS NOT NULL
                  ORDER BY m.settle_time LIMIT 1), k.now)::timestamptz AS settlement,
       coalesce((SELECT h.expire_time FROM holds AS h WHERE h.state = 1
                  ORDER BY h.expire_time LIMIT 1), k.now)::timestamptz AS hold,
       coalesce((SELECT c.due_time FROM checkouts AS c WHERE c.due_time IS NOT NULL
                  ORDER BY c.due_time LIMIT 1), k.now)::timestamptz AS checkout,
       (SELECT count(*) FROM pg_stat_get_wal_senders()) AS standbys
  FROM (SELECT clock_timestamp() AS now) AS k;

-- CountTerminals counts terminals by their state, a number of the API.
-- name: CountTerminals :many
SELECT t.state, count(*) AS count FROM terminal_states AS t GROUP BY t.state;

-- SumBalances sums all balances of each asset, in its smallest unit: to zero, if the
-- books balance. Rounding is no matter: what isn't zero doesn't become it.
-- name: SumBalances :many
SELECT s.code, coalesce(sum(a.balance), 0)::double precision AS sum
  FROM assets AS s
  LEFT JOIN accounts AS a ON a.asset_id = s.id
 GROUP BY s.code;
