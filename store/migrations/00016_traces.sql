-- +goose Up

-- Which trace caused what a row is about: a W3C traceparent, or NULL where nothing
-- was sampled. A transaction that is traced says so in a setting of its own, so that
-- no statement has to name the column.
ALTER TABLE events ADD COLUMN trace text;
ALTER TABLE events ALTER COLUMN trace SET DEFAULT nullif(current_setting('tillbook.trace', true), '');

-- These rows are the jobs that expire them.
ALTER TABLE holds ADD COLUMN trace text;
ALTER TABLE holds ALTER COLUMN trace SET DEFAULT nullif(current_setting('tillbook.trace', true), '');
ALTER TABLE checkouts ADD COLUMN trace text;
ALTER TABLE checkouts ALTER COLUMN trace SET DEFAULT nullif(current_setting('tillbook.trace', true), '');

-- +goose Down
ALTER TABLE checkouts DROP COLUMN trace;
ALTER TABLE holds DROP COLUMN trace;
ALTER TABLE events DROP COLUMN trace;
