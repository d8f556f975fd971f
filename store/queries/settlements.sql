-- ListDueMerchants lists merchants whose time to settle has come, the longest due
-- first.
-- name: ListDueMerchants :many
SELECT id, time_zone, settlement_interval, settlement_minute, settlement_weekday,
       settle_time::timestamptz AS settle_time, now()::timestamptz AS now
  FROM merchants
 WHERE settle_time <= now()
 ORDER BY settle_time
 LIMIT @max_rows;

-- PassSettleTime says when a merchant settles next, unless somebody did so before.
-- name: PassSettleTime :exec
UPDATE merchants SET settle_time = sqlc.arg(next)::timestamptz WHERE id = @id AND settle_time = sqlc.arg(due)::timestamptz;

-- ListMerchantsAtOnce lists merchants that settle at once, by id.
-- name: ListMerchantsAtOnce :many
SELECT id FROM merchants
 WHERE settle_time IS NULL AND id > @after_id
 ORDER BY id
 LIMIT @max_rows;

-- ListUnsettled lists the accounts under some codes that have entries which no
-- settlement covers, with the last one that one does.
-- name: ListUnsettled :many
SELECT a.id, a.code, a.asset_id, a.version, (a.balance > 0)::boolean AS positive, coalesce(s.last_version, 0)::bigint AS settled_version
  FROM unnest(sqlc.arg(prefixes)::text[]) AS p (prefix)
  JOIN accounts AS a ON a.code >= p.prefix AND a.code < p.prefix || '~'
  LEFT JOIN LATERAL (SELECT d.last_version FROM settlements AS d WHERE d.account_id = a.id ORDER BY d.last_version DESC LIMIT 1) AS s ON true
 WHERE a.version > coalesce(s.last_version, 0);

-- GetSettledVersion returns the last entry of an account that a settlement covers.
-- name: GetSettledVersion :one
SELECT coalesce(max(last_version), 0)::bigint FROM settlements WHERE account_id = @account_id;

-- InsertSettlement writes a document, unless it is there. Amounts are integers of
-- the asset's smallest unit.
-- name: InsertSettlement :exec
INSERT INTO settlements (id, merchant_id, account_id, asset_id, first_version, last_version, sale_count, refund_count,
                         gross, tips, refunds, fees, net, create_time)
VALUES (@id, @merchant_id, @account_id, @asset_id, @first_version, @last_version, @sale_count, @refund_count,
        sqlc.arg(gross)::text::numeric, sqlc.arg(tips)::text::numeric, sqlc.arg(refunds)::text::numeric,
        sqlc.arg(fees)::text::numeric, sqlc.arg(net)::text::numeric, @create_time)
ON CONFLICT DO NOTHING;

-- name: ListSettlements :many
SELECT id, merchant_id, account_id, asset_id, first_version, last_version, sale_count, refund_count,
       gross::text AS gross, tips::text AS tips, refunds::text AS refunds, fees::text AS fees, net::text AS net, create_time
  FROM settlements
 WHERE merchant_id = @merchant_id AND id < @before_id
 ORDER BY id DESC
 LIMIT @max_rows;

-- name: GetSettlement :one
SELECT id, merchant_id, account_id, asset_id, first_version, last_version, sale_count, refund_count,
       gross::text AS gross, tips::text AS tips, refunds::text AS refunds, fees::text AS fees, net::text AS net, create_time
  FROM settlements
 WHERE id = @id AND merchant_id = @merchant_id;

-- ListCheckoutsOfTransactions finds the checkouts that transactions pay or give back.
-- name: ListCheckoutsOfTransactions :many
SELECT w.id::uuid AS transaction_id, c.id AS checkout_id, c.amount::text AS amount
  FROM unnest(sqlc.arg(ids)::uuid[]) AS w (id)
  LEFT JOIN refunds AS f ON f.transaction_id = w.id
  LEFT JOIN resolutions AS r ON r.transaction_id = coalesce(f.original_id, w.id)
  LEFT JOIN hold_operations AS o ON o.transaction_id = coalesce(f.original_id, w.id)
  JOIN checkouts AS c ON c.id = coalesce(r.subject, o.hold_id);

-- FilterMerchantsAtOnce finds those of some merchants that settle at once.
-- name: FilterMerchantsAtOnce :many
SELECT id FROM merchants WHERE settle_time IS NULL AND id = ANY (sqlc.arg(ids)::uuid[]);
