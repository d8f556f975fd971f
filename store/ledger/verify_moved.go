package ledger

// The checks of Verify on what is held, given back and counted. Each returns rows
// (rule, subject, detail).
const (
	// $1 < account id <= $2
	verifyHeld = `
SELECT 'account_held', 'account ' || a.code, 'says that ' || a.held || ' is held, its open holds sum to ' || coalesce(h.held, 0)
  FROM accounts a
  LEFT JOIN (
       SELECT account_id, sum(greatest(amount - captured, 0)) AS held
         FROM holds WHERE state = 1 AND account_id > $1 AND account_id <= $2 GROUP BY account_id
  ) h ON h.account_id = a.id
 WHERE a.id > $1 AND a.id <= $2 AND a.held <> coalesce(h.held, 0)`

	// $1 < account id <= $2
	verifyTiers = `
SELECT 'account_tier', 'account ' || a.code, 'says tier ' || a.tier || ', its owner has ' || coalesce(o.tier, 0)
  FROM accounts a
  LEFT JOIN owners o ON o.code = split_part(a.code, '/', 1) || '/' || split_part(a.code, '/', 2)
 WHERE a.id > $1 AND a.id <= $2 AND a.tier <> coalesce(o.tier, 0)
UNION ALL
SELECT 'receivable', 'account ' || a.code, 'says that ' || a.balance || ' too much was repaid'
  FROM accounts a
 WHERE a.id > $1 AND a.id <= $2 AND a.code LIKE 'receivable/%' AND a.balance > 0`

	// $1 < account id <= $2. A counter has counted what moved since it began: what
	// transactions moved, but for captures, which count since they were held; what
	// was done to holds; less what was given back of any of these.
	verifyUsage = `
WITH counters AS (
    SELECT a.id, a.code, f[1] AS d, f[2] AS p, f[3] AS z,
           'epoch'::timestamptz + f[4]::bigint * interval '1 microsecond' AS s, f[5]::numeric AS a, f[6]::bigint AS n
      FROM accounts a
     CROSS JOIN LATERAL jsonb_array_elements_text(a.usage) AS c
     CROSS JOIN LATERAL string_to_array(c, ' ') AS f
     WHERE a.id > $1 AND a.id <= $2 AND a.usage IS NOT NULL
), moved AS (
    SELECT c.id, c.d, c.p, c.z, abs(e.amount) AS amount, 1 AS number
      FROM counters c
      JOIN account_entries e ON e.account_id = c.id AND e.create_time >= c.s AND (e.amount < 0) = (c.d = 'outgoing')
      JOIN transactions t ON t.id = e.transaction_id
     WHERE t.counted AND NOT (t.kind = 4 AND c.d = 'outgoing')
    UNION ALL
    SELECT c.id, c.d, c.p, c.z, o.counted_amount, o.counted_number
      FROM counters c JOIN hold_operations o ON o.account_id = c.id AND o.counted_time >= c.s
     WHERE c.d = 'outgoing'
    UNION ALL
    SELECT c.id, c.d, c.p, c.z, -CASE WHEN t.more = 0 OR t.a_account = c.id THEN r.amount WHEN r.counted_number = 1 THEN abs(e.amount) ELSE 0 END,
           CASE WHEN t.kind = 4 AND c.d = 'outgoing' THEN 0 ELSE -r.counted_number END
      FROM counters c
      JOIN account_entries e ON e.account_id = c.id AND (e.amount < 0) = (c.d = 'outgoing')
      JOIN transactions t ON t.id = e.transaction_id
      JOIN refunds r ON r.original_id = e.transaction_id
     WHERE CASE c.d WHEN 'outgoing' THEN r.outgoing_time ELSE r.incoming_time END >= c.s
    UNION ALL
    SELECT c.id, c.d, c.p, c.z, m.amount, 1
      FROM counters c JOIN metered m ON m.account_id = c.id AND m.create_time >= c.s
     WHERE c.d = 'incoming'
    UNION ALL
    SELECT c.id, c.d, c.p, c.z, -r.amount, -r.counted_number
      FROM counters c JOIN metered m ON m.account_id = c.id JOIN refunds r ON r.original_id = m.transaction_id
     WHERE c.d = 'incoming' AND r.incoming_time >= c.s
), sums AS (
    SELECT id, d, p, z, sum(amount) AS amount, sum(number) AS number FROM moved GROUP BY id, d, p, z
)
SELECT 'account_usage', 'account ' || c.code,
       c.d || ' per ' || c.p || ' in ' || c.z || ' counts ' || c.a || ' in ' || c.n || ' transactions since ' || c.s
           || ', it moved ' || coalesce(s.amount, 0) || ' in ' || coalesce(s.number, 0)
  FROM counters c LEFT JOIN sums s USING (id, d, p, z)
 WHERE c.a <> coalesce(s.amount, 0) OR c.n <> coalesce(s.number, 0)`

	// $1 < hold id <= $2
	verifyHolds = `
WITH steps AS (
    SELECT o.*, lag(o.position) OVER w AS previous, lead(o.position) OVER w IS NULL AS newest,
           greatest(o.amount - o.captured, 0) * (o.state = 1)::int
               - coalesce(lag(greatest(o.amount - o.captured, 0) * (o.state = 1)::int) OVER w, 0) AS change
      FROM hold_operations o
     WHERE o.hold_id > $1 AND o.hold_id <= $2
    WINDOW w AS (PARTITION BY o.hold_id ORDER BY o.position)
)
SELECT 'hold_history', 'operation ' || position || ' of hold ' || hold_id, 'follows operation ' || coalesce(previous, 0)
  FROM steps WHERE position <> coalesce(previous, 0) + 1
UNION ALL
SELECT 'hold_history', 'operation ' || position || ' of hold ' || hold_id,
       'changes what is held by ' || held_change || ', what it leads to by ' || change
  FROM steps WHERE held_change <> change
UNION ALL
SELECT 'hold_history', 'hold ' || h.id,
       'says ' || h.captured || ' of ' || h.amount || ' captured, state ' || h.state || ', after ' || h.operations
           || ' operations; they say ' || coalesce(s.captured || ' of ' || s.amount || ', state ' || s.state || ', after ' || s.position, 'nothing')
  FROM holds h LEFT JOIN steps s ON s.hold_id = h.id AND s.newest
 WHERE h.id > $1 AND h.id <= $2
   AND (s.hold_id IS NULL OR (h.amount, h.captured, h.state, h.operations, h.account_id)
                    IS DISTINCT FROM (s.amount, s.captured, s.state, s.position, s.account_id))
UNION ALL
SELECT 'hold_history', 'hold ' || s.hold_id, 'does not exist, but operations on it'
  FROM steps s WHERE s.newest AND NOT EXISTS (SELECT FROM holds h WHERE h.id = s.hold_id)
UNION ALL
SELECT 'hold_capture', 'hold ' || h.id, 'says that ' || h.captured || ' was captured, transactions took ' || coalesce(t.amount, 0)
  FROM holds h
  LEFT JOIN LATERAL (
       SELECT -sum(e.amount) AS amount
         FROM hold_operations o JOIN account_entries e ON e.transaction_id = o.transaction_id AND e.account_id = h.account_id
        WHERE o.hold_id = h.id AND o.transaction_id IS NOT NULL
  ) t ON true
 WHERE h.id > $1 AND h.id <= $2 AND h.captured <> coalesce(t.amount, 0)`

	// $1 < transaction id <= $2
	verifyCaptures = `
SELECT 'hold_capture', 'transaction ' || t.id, 'is a capture, but of no hold'
  FROM transactions t
 WHERE t.id > $1 AND t.id <= $2 AND t.kind = 4
   AND NOT EXISTS (SELECT FROM hold_operations o WHERE o.transaction_id = t.id)`

	// $1 < transaction id <= $2
	verifyMetered = `
SELECT 'metered', 'transaction ' || m.transaction_id, 'was counted as ' || m.amount || ', it moved ' || coalesce(abs(t.a_amount)::text, 'nothing')
  FROM metered m LEFT JOIN transactions t ON t.id = m.transaction_id AND t.counted AND t.create_time = m.create_time
 WHERE m.transaction_id > $1 AND m.transaction_id <= $2 AND m.amount IS DISTINCT FROM abs(t.a_amount)`

	// $1 < transaction id <= $2
	verifyRefunds = `
SELECT 'refund_sum', 'transaction ' || t.id, 'gives something back, but nothing is known of what'
  FROM transactions t
 WHERE t.id > $1 AND t.id <= $2 AND t.kind IN (5, 6)
   AND NOT EXISTS (SELECT FROM refunds r WHERE r.transaction_id = t.id)
UNION ALL
SELECT 'refund_sum', 'transaction ' || t.id, 'had ' || abs(t.a_amount) || ', but ' || sum(r.amount) || ' was given back'
  FROM transactions t JOIN refunds r ON r.original_id = t.id
 WHERE t.id > $1 AND t.id <= $2
 GROUP BY t.id HAVING sum(r.amount) > abs(t.a_amount)
UNION ALL
SELECT 'refund_sum', 'transaction ' || r.transaction_id, 'gives ' || r.amount || ' back of ' || r.original_id || ', its entries move ' || coalesce(m.amount, 0)
  FROM refunds r
  LEFT JOIN transactions o ON o.id = r.original_id
  LEFT JOIN LATERAL (
       SELECT sum(greatest(x.amount, 0)) AS amount
         FROM transactions t
        CROSS JOIN LATERAL (
              SELECT t.a_amount UNION ALL SELECT t.b_amount
              UNION ALL SELECT n.amount FROM more_entries n WHERE n.transaction_id = t.id
        ) x (amount)
        WHERE t.id = r.transaction_id AND t.kind IN (5, 6)
  ) m ON true
 WHERE r.transaction_id > $1 AND r.transaction_id <= $2
   AND (o.id IS NULL OR m.amount IS NULL OR o.more = 0 AND m.amount <> r.amount)`
)
