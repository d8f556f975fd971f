-- InsertMerchant adds a merchant, on the standard fee plan if there is one, unless
-- its key was used: then there is no row.
-- name: InsertMerchant :one
INSERT INTO merchants (id, owner_id, name, country, city, category_code, time_zone, fee_plan,
                       settlement_interval, settlement_minute, settlement_weekday, settle_time, key_hash, fingerprint, create_time)
SELECT @id, @owner_id, @name, @country, @city, @category_code, @time_zone, (SELECT p.name FROM fee_plans AS p WHERE p.name = 'standard'),
       @settlement_interval, @settlement_minute, @settlement_weekday, @settle_time, @key_hash, @fingerprint, clock_timestamp()
ON CONFLICT ON CONSTRAINT merchants_key DO NOTHING
RETURNING id;

-- name: FindMerchantByKey :one
SELECT id, fingerprint FROM merchants WHERE key_hash = @key_hash;

-- GetMerchant finds a merchant for one of its staff.
-- name: GetMerchant :one
SELECT sqlc.embed(m), s.role
  FROM merchants AS m
  JOIN staff AS s ON s.merchant_id = m.id
 WHERE m.id = @id AND s.user_id = @user_id;

-- ListMerchants lists where a user works, newest merchant first.
-- name: ListMerchants :many
SELECT sqlc.embed(m), s.role
  FROM staff AS s
  JOIN merchants AS m ON m.id = s.merchant_id
 WHERE s.user_id = @user_id AND s.merchant_id < @before_id
 ORDER BY s.merchant_id DESC
 LIMIT @max_rows;

-- name: SetSettlementSchedule :exec
UPDATE merchants
   SET settlement_interval = @settlement_interval, settlement_minute = @settlement_minute,
       settlement_weekday = @settlement_weekday, settle_time = @settle_time
 WHERE id = @id;

-- InsertStore adds a store, unless its key was used: then there is no row.
-- name: InsertStore :one
INSERT INTO stores (id, merchant_id, name, city, key_hash, fingerprint, create_time)
VALUES (@id, @merchant_id, @name, @city, @key_hash, @fingerprint, clock_timestamp())
ON CONFLICT ON CONSTRAINT stores_key DO NOTHING
RETURNING id;

-- name: FindStoreByKey :one
SELECT id, fingerprint FROM stores WHERE key_hash = @key_hash;

-- name: GetStore :one
SELECT id, merchant_id, name, city, create_time FROM stores WHERE id = @id AND merchant_id = @merchant_id;

-- name: ListStores :many
SELECT id, merchant_id, name, city, create_time FROM stores
 WHERE merchant_id = @merchant_id AND id < @before_id
 ORDER BY id DESC
 LIMIT @max_rows;

-- name: FindTerminalStore :one
SELECT store_id FROM terminals WHERE id = @id AND merchant_id = @merchant_id;
