-- +goose Up

-- Whenever a table is vacuumed or its statistics are taken, every connection plans
-- anew all that reads it, and a plan for a checkout takes longer than reading one. By
-- PostgreSQL's defaults that comes after 50 changed rows and a part of the table: with
-- each look at a busy table that is still small, a dozen of them every minute or, where
-- looks are more frequent, every ten seconds. These are reached by their keys, so their
-- plans stay as they are; what is big is looked at as often as before.
ALTER TABLE accounts SET (autovacuum_analyze_threshold = 20000, autovacuum_vacuum_threshold = 20000);
ALTER TABLE transactions SET (autovacuum_analyze_threshold = 20000, autovacuum_vacuum_insert_threshold = 20000);
ALTER TABLE events SET (autovacuum_analyze_threshold = 20000, autovacuum_vacuum_insert_threshold = 20000);
ALTER TABLE resolutions SET (autovacuum_analyze_threshold = 20000, autovacuum_vacuum_insert_threshold = 20000, autovacuum_vacuum_threshold = 20000);
ALTER TABLE audit_records SET (autovacuum_analyze_threshold = 20000, autovacuum_vacuum_insert_threshold = 20000);
ALTER TABLE rate_limits SET (autovacuum_analyze_threshold = 20000, autovacuum_vacuum_threshold = 5000);
ALTER TABLE log_head SET (autovacuum_analyze_threshold = 20000, autovacuum_vacuum_threshold = 1000);
ALTER TABLE log_batches SET (autovacuum_analyze_threshold = 20000, autovacuum_vacuum_insert_threshold = 20000);
ALTER TABLE log_tiles SET (autovacuum_analyze_threshold = 20000, autovacuum_vacuum_threshold = 5000);
ALTER TABLE terminals SET (autovacuum_analyze_threshold = 20000);
ALTER TABLE terminal_presence SET (autovacuum_analyze_threshold = 20000, autovacuum_vacuum_threshold = 20000);
ALTER TABLE terminal_assertions SET (autovacuum_analyze_threshold = 20000, autovacuum_vacuum_threshold = 20000);
ALTER TABLE settlements SET (autovacuum_analyze_threshold = 20000);
-- Each of its rows changes some four times.
ALTER TABLE checkouts SET (autovacuum_analyze_threshold = 1000, autovacuum_analyze_scale_factor = 1, autovacuum_vacuum_threshold = 20000);

-- +goose Down
ALTER TABLE checkouts RESET (autovacuum_analyze_threshold, autovacuum_analyze_scale_factor, autovacuum_vacuum_threshold);
ALTER TABLE settlements RESET (autovacuum_analyze_threshold);
ALTER TABLE terminal_assertions RESET (autovacuum_analyze_threshold, autovacuum_vacuum_threshold);
ALTER TABLE terminal_presence RESET (autovacuum_analyze_threshold, autovacuum_vacuum_threshold);
ALTER TABLE terminals RESET (autovacuum_analyze_threshold);
ALTER TABLE log_tiles RESET (autovacuum_analyze_threshold, autovacuum_vacuum_threshold);
ALTER TABLE log_batches RESET (autovacuum_analyze_threshold, autovacuum_vacuum_insert_threshold);
ALTER TABLE log_head RESET (autovacuum_analyze_threshold, autovacuum_vacuum_threshold);
ALTER TABLE rate_limits RESET (autovacuum_analyze_threshold, autovacuum_vacuum_threshold);
ALTER TABLE audit_records RESET (autovacuum_analyze_threshold, autovacuum_vacuum_insert_threshold);
ALTER TABLE resolutions RESET (autovacuum_analyze_threshold, autovacuum_vacuum_insert_threshold, autovacuum_vacuum_threshold);
ALTER TABLE events RESET (autovacuum_analyze_threshold, autovacuum_vacuum_insert_threshold);
ALTER TABLE transactions RESET (autovacuum_analyze_threshold, autovacuum_vacuum_insert_threshold);
ALTER TABLE accounts RESET (autovacuum_analyze_threshold, autovacuum_vacuum_threshold);
