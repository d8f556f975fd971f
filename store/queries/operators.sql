-- name: InsertOperator :one
INSERT INTO operators (id, name)
VALUES (@id, @name)
RETURNING *;

-- name: InsertOperatorKey :exec
INSERT INTO operator_keys (id, operator_id, key_hash)
VALUES (@id, @operator_id, @key_hash);

-- name: ListOperators :many
SELECT o.id, o.name, o.create_time,
       count(k.id) FILTER (WHERE k.revoke_time IS NULL) AS live_keys
  FROM operators AS o
  LEFT JOIN operator_keys AS k ON k.operator_id = o.id
 GROUP BY o.id
 ORDER BY o.name;

-- RevokeOperatorKeys ends every key of the operator that is still live, and returns
-- whose each of them was.
-- name: RevokeOperatorKeys :many
UPDATE operator_keys AS k
   SET revoke_time = now()
  FROM operators AS o
 WHERE o.id = k.operator_id
   AND o.name = @name
   AND k.revoke_time IS NULL
RETURNING o.id;

-- FindOperatorByKeyHash finds whose live key has this hash.
-- name: FindOperatorByKeyHash :one
SELECT o.id, o.name, k.id AS key_id
  FROM operator_keys AS k
  JOIN operators AS o ON o.id = k.operator_id
 WHERE k.key_hash = @key_hash
   AND k.revoke_time IS NULL;
