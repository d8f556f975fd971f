-- name: GetClock :one
SELECT clock_timestamp()::timestamptz AS now;
