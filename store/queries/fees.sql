-- name: UpsertFeePlan :exec
INSERT INTO fee_plans (name, update_time) VALUES (@name, clock_timestamp())
ON CONFLICT ON CONSTRAINT fee_plans_pkey DO UPDATE SET update_time = clock_timestamp();

-- name: DeleteFeeRates :exec
DELETE FROM fee_rates WHERE plan = @plan;

-- name: InsertFeeRate :exec
INSERT INTO fee_rates (plan, asset_id, basis_points, fixed)
VALUES (@plan, @asset_id, @basis_points, sqlc.arg(fixed)::text::numeric);

-- name: ListFeePlans :many
SELECT name FROM fee_plans WHERE name > @after_name ORDER BY name LIMIT @max_rows;

-- name: ListFeeRates :many
SELECT r.plan, r.asset_id, r.basis_points, r.fixed::text AS fixed
  FROM fee_rates AS r
  JOIN assets AS a ON a.id = r.asset_id
 WHERE r.plan = ANY (sqlc.arg(plans)::text[])
 ORDER BY r.plan, a.code;

-- name: GetFeePlan :one
SELECT name FROM fee_plans WHERE name = @name;

-- AssignFeePlan puts a merchant on a plan and returns which one it was on.
-- name: AssignFeePlan :one
UPDATE merchants AS m SET fee_plan = sqlc.arg(plan)::text
  FROM (SELECT o.id, o.fee_plan FROM merchants AS o WHERE o.id = @id FOR UPDATE) AS old
 WHERE m.id = old.id
RETURNING old.fee_plan;
