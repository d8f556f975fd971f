package ledger

// The checks of Verify. Each returns rows (rule, subject, detail).
const (
	verifyAssets = `
SELECT 'asset_sum', 'asset ' || s.code, 'all balances sum to ' || sum(a.balance) || ', not 0'
  FROM accounts a JOIN assets s ON s.id = a.asset_id
 GROUP BY s.code
HAVING sum(a.balance) <> 0
 ORDER BY s.code`

	// $1 < account id <= $2
	verifyAccounts = `
WITH history AS (
    SELECT e.account_id, e.version, e.transaction_id, e.create_time, e.amount, e.balance,
           lag(e.version)     OVER w AS previous_version,
           lag(e.balance)     OVER w AS previous_balance,
           lag(e.create_time) OVER w AS previous_time
      FROM account_entries e
     WHERE e.account_id > $1 AND e.account_id <= $2
    WINDOW w AS (PARTITION BY e.account_id ORDER BY e.version)
), steps AS (
    SELECT h.*, coalesce(a.code, 'number ' || h.account_id) AS code,
           'entry ' || h.version || ' of account ' || coalesce(a.code, 'number ' || h.account_id)
               || ' (transaction ' || h.transaction_id || ')' AS subject
      FROM history h LEFT JOIN accounts a ON a.id = h.account_id
), summed AS (
    SELECT account_id, count(*) AS entries, sum(amount) AS balance, max(create_time) AS last_time
      FROM history GROUP BY account_id
)
SELECT 'entry_gap', subject, 'follows entry ' || coalesce(previous_version, 0)
  FROM steps WHERE version <> coalesce(previous_version, 0) + 1
UNION ALL
SELECT 'entry_balance', subject,
       'says balance ' || balance || ' after ' || coalesce(previous_balance, 0) || ' and amount ' || amount
  FROM steps WHERE balance <> coalesce(previous_balance, 0) + amount
UNION ALL
SELECT 'entry_time', subject, 'is of ' || create_time || ', before the one that it follows, of ' || previous_time
  FROM steps WHERE create_time < previous_time
UNION ALL
SELECT 'account_balance', 'account ' || a.code, 'says ' || a.balance || ', its entries sum to ' || coalesce(s.balance, 0)
  FROM accounts a LEFT JOIN summed s ON s.account_id = a.id
 WHERE a.id > $1 AND a.id <= $2 AND a.balance <> coalesce(s.balance, 0)
UNION ALL
SELECT 'account_version', 'account ' || a.code, 'says ' || a.version || ', it has ' || coalesce(s.entries, 0) || ' entries'
  FROM accounts a LEFT JOIN summed s ON s.account_id = a.id
 WHERE a.id > $1 AND a.id <= $2 AND a.version <> coalesce(s.entries, 0)
UNION ALL
SELECT 'account_time', 'account ' || a.code, 'says that its last entry is of ' || a.last_time || ', it is of ' || coalesce(s.last_time, '-infinity')
  FROM accounts a LEFT JOIN summed s ON s.account_id = a.id
 WHERE a.id > $1 AND a.id <= $2 AND a.last_time <> coalesce(s.last_time, '-infinity')
UNION ALL
SELECT 'account_floor', 'account ' || a.code, 'has ' || (a.balance - a.held) || ' available, its floor is ' || a.floor
  FROM accounts a WHERE a.id > $1 AND a.id <= $2 AND a.balance - a.held < a.floor`

	// $1 < transaction id <= $2
	verifyTransactions = `
WITH entries AS (
    SELECT id, more, a_account AS account_id, a_amount AS amount, 0 AS extra FROM transactions WHERE id > $1 AND id <= $2
    UNION ALL
    SELECT id, more, b_account, b_amount, 0 FROM transactions WHERE id > $1 AND id <= $2
    UNION ALL
    SELECT t.id, t.more, m.account_id, m.amount, 1
      FROM transactions t JOIN more_entries m ON m.transaction_id = t.id
     WHERE t.id > $1 AND t.id <= $2
), sums AS (
    SELECT e.id, a.asset_id, sum(e.amount) AS amount
      FROM entries e LEFT JOIN accounts a ON a.id = e.account_id
     GROUP BY e.id, a.asset_id
)
SELECT 'transaction_balance', 'transaction ' || s.id, coalesce(x.code, 'an unknown asset') || ' sums to ' || s.amount || ', not 0'
  FROM sums s LEFT JOIN assets x ON x.id = s.asset_id WHERE s.amount <> 0
UNION ALL
SELECT 'transaction_balance', 'transaction ' || id, 'says that it has ' || 2 + max(more) || ' entries, it has ' || 2 + sum(extra)
  FROM entries GROUP BY id HAVING max(more) <> sum(extra)
UNION ALL
SELECT 'entry_time', 'entry ' || m.version || ' of account ' || coalesce(a.code, 'number ' || m.account_id) || ' (transaction ' || t.id || ')',
       'is of ' || m.create_time || ', its transaction of ' || t.create_time
  FROM transactions t JOIN more_entries m ON m.transaction_id = t.id LEFT JOIN accounts a ON a.id = m.account_id
 WHERE t.id > $1 AND t.id <= $2 AND m.create_time <> t.create_time`

	verifyOrphans = `
SELECT 'entry_orphan', 'entry ' || e.version || ' of account number ' || e.account_id, 'the account does not exist'
  FROM account_entries e WHERE NOT EXISTS (SELECT FROM accounts a WHERE a.id = e.account_id)
UNION ALL
SELECT 'entry_orphan', 'entry ' || m.version || ' of account number ' || m.account_id, 'transaction ' || m.transaction_id || ' does not exist'
  FROM more_entries m WHERE NOT EXISTS (SELECT FROM transactions t WHERE t.id = m.transaction_id)`
)
