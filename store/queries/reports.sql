-- ListSales lists what was paid for a merchant's checkouts in a range of time, in the
-- order of the checkouts' ids: for those of a store, at a terminal, or made by somebody
-- without a terminal, if these are given. A checkout's money can be captured in several
-- parts, and each is a row. Ids hold the time when a checkout was made, which is at most
-- so long before it was paid that after_id is that of none later. Net is what came into
-- the accounts under a code, which are all of the merchant's.
-- name: ListSales :many
SELECT c.id, c.store_id, c.terminal_id, c.created_by, c.asset_id, c.reference, c.amount::text AS amount,
       t.id AS transaction_id, t.create_time, (-t.a_amount)::text AS paid,
       (SELECT coalesce(sum(e.amount), 0)::text
          FROM account_entries AS e
          JOIN accounts AS a ON a.id = e.account_id
         WHERE e.transaction_id = t.id AND a.code >= sqlc.arg(prefix)::text AND a.code < sqlc.arg(prefix)::text || '~') AS net
  FROM checkouts AS c
  LEFT JOIN resolutions AS r ON r.subject = c.id
  LEFT JOIN hold_operations AS o ON o.hold_id = c.id AND o.kind = 3
  JOIN transactions AS t ON t.id = coalesce(r.transaction_id, o.transaction_id)
 WHERE c.merchant_id = @merchant_id
   AND c.id >= sqlc.arg(after_id)::uuid AND c.id < sqlc.arg(last_id)::uuid
   AND (c.id > sqlc.arg(after_id)::uuid OR t.id > sqlc.arg(after_transaction)::uuid)
   AND t.create_time >= sqlc.arg(start_time)::timestamptz AND t.create_time < sqlc.arg(end_time)::timestamptz
   AND (sqlc.narg(store_id)::uuid IS NULL OR c.store_id = sqlc.narg(store_id)::uuid)
   AND (sqlc.narg(terminal_id)::uuid IS NULL OR c.terminal_id = sqlc.narg(terminal_id)::uuid)
   AND (sqlc.narg(counter_user_id)::uuid IS NULL OR c.terminal_id IS NULL AND c.created_by = sqlc.narg(counter_user_id)::uuid)
 ORDER BY c.id, t.id
 LIMIT @max_rows;

-- ListRefunds lists what was given back of a merchant's checkouts in a range of time,
-- whenever they were paid, in the order of the transactions' ids. Taken is what that
-- took out of the accounts under some codes, which are all of the merchant's. PostgreSQL
-- can't know how few these are: OFFSET 0 keeps it from reading everybody's entries.
-- name: ListRefunds :many
SELECT c.id, c.store_id, c.terminal_id, c.created_by, c.asset_id, c.reference, t.id AS transaction_id, t.create_time,
       f.amount::text AS amount, f.taken::text AS taken
  FROM (
        SELECT r.transaction_id, r.original_id, r.amount, -sum(e.amount) AS taken
          FROM unnest(sqlc.arg(prefixes)::text[]) AS p (prefix)
         CROSS JOIN LATERAL (
               SELECT a.id,
                      account_version_before(a.id, sqlc.arg(start_time)::timestamptz, '00000000-0000-0000-0000-000000000000') AS first,
                      account_version_before(a.id, sqlc.arg(end_time)::timestamptz, '00000000-0000-0000-0000-000000000000') AS last
                 FROM accounts AS a
                WHERE a.code >= p.prefix AND a.code < p.prefix || '~' OFFSET 0
               ) AS b
         CROSS JOIN LATERAL (
               SELECT x.transaction_id, x.amount FROM account_entries AS x
                WHERE x.account_id = b.id AND x.version > b.first AND x.version <= b.last OFFSET 0
               ) AS e
         CROSS JOIN LATERAL (SELECT * FROM refunds AS f WHERE f.transaction_id = e.transaction_id OFFSET 0) AS r
         GROUP BY r.transaction_id, r.original_id, r.amount
       ) AS f
  JOIN transactions AS t ON t.id = f.transaction_id
  LEFT JOIN resolutions AS r ON r.transaction_id = f.original_id
  LEFT JOIN hold_operations AS o ON o.transaction_id = f.original_id
  JOIN checkouts AS c ON c.id = coalesce(r.subject, o.hold_id)
 WHERE t.id > sqlc.arg(after_id)::uuid
   AND (sqlc.narg(store_id)::uuid IS NULL OR c.store_id = sqlc.narg(store_id)::uuid)
   AND (sqlc.narg(terminal_id)::uuid IS NULL OR c.terminal_id = sqlc.narg(terminal_id)::uuid)
   AND (sqlc.narg(counter_user_id)::uuid IS NULL OR c.terminal_id IS NULL AND c.created_by = sqlc.narg(counter_user_id)::uuid)
 ORDER BY t.id
 LIMIT @max_rows;
