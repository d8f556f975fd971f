-- +goose Up

-- What limits need of an account: how far its owner's identity is known, and
-- what was counted. Both are in the row that every payment locks anyway, so that
-- limits cost no lock of their own. receivable_id is the account that says what
-- the owner still owes; credits repay it first.
ALTER TABLE accounts
    ADD COLUMN tier          smallint NOT NULL DEFAULT 0,
    ADD COLUMN usage         jsonb,
    ADD COLUMN receivable_id bigint,
    ADD CONSTRAINT accounts_tier_range CHECK (tier BETWEEN -1 AND 9);
GRANT UPDATE (tier, usage, receivable_id) ON accounts TO tillbook_app;

COMMENT ON COLUMN accounts.tier IS 'The tier of the owner, copied from owners; -1 if closed for good.';
COMMENT ON COLUMN accounts.usage IS 'Counters that limits are checked against; NULL before the first.';
COMMENT ON COLUMN accounts.receivable_id IS 'The account below zero that holds what this one''s owner owes, once there was a debt.';

-- Owners whose tier isn't 0. An owner is the first two parts of an account code.
CREATE TABLE owners (
    code        text        PRIMARY KEY,
    tier        smallint    NOT NULL,
    update_time timestamptz NOT NULL,
    CONSTRAINT owners_tier_range CHECK (tier BETWEEN -1 AND 9)
);
GRANT SELECT, INSERT, UPDATE (tier, update_time) ON owners TO tillbook_app;

-- The rules that bound what moves. Rules never change but for their bound and
-- their end; replicas remember them as of limit_version.
CREATE TABLE limit_rules (
    id          uuid           PRIMARY KEY,
    scope       text           NOT NULL,
    asset_id    smallint       NOT NULL REFERENCES assets (id),
    measure     text           NOT NULL,
    direction   text           NOT NULL,
    period      text           NOT NULL,
    zone        text           NOT NULL,
    maximum     numeric(38, 0) NOT NULL,
    create_time timestamptz    NOT NULL,
    update_time timestamptz    NOT NULL,
    delete_time timestamptz,
    CONSTRAINT limit_rules_measure CHECK (measure IN ('amount', 'count', 'balance')),
    CONSTRAINT limit_rules_direction CHECK (direction IN ('outgoing', 'incoming')),
    CONSTRAINT limit_rules_period CHECK (period IN ('transaction', 'day', 'month', 'lifetime')),
    CONSTRAINT limit_rules_balance CHECK (measure <> 'balance' OR (direction = 'incoming' AND period = 'transaction')),
    CONSTRAINT limit_rules_count CHECK (measure <> 'count' OR period <> 'transaction'),
    CONSTRAINT limit_rules_maximum CHECK (maximum >= 0)
);
CREATE UNIQUE INDEX limit_rules_key ON limit_rules (scope, asset_id, measure, direction, period, zone)
    WHERE delete_time IS NULL;
GRANT SELECT, INSERT, UPDATE (maximum, update_time, delete_time) ON limit_rules TO tillbook_app;

COMMENT ON COLUMN limit_rules.scope IS 'everyone, tier/N, or an owner such as user/usr_….';
COMMENT ON COLUMN limit_rules.zone IS 'The IANA time zone of days and months; UTC for other periods.';

CREATE TABLE limit_version (
    single  boolean PRIMARY KEY DEFAULT true,
    version bigint  NOT NULL DEFAULT 1,
    CONSTRAINT limit_version_single CHECK (single)
);
INSERT INTO limit_version DEFAULT VALUES;
GRANT SELECT, UPDATE (version) ON limit_version TO tillbook_app;

-- Money that is set aside for a payment to come (an authorization). While it is
-- open, what of amount isn't captured is part of its account's held.
CREATE TABLE holds (
    id          uuid           PRIMARY KEY,
    account_id  bigint         NOT NULL,
    amount      numeric(38, 0) NOT NULL,
    captured    numeric(38, 0) NOT NULL DEFAULT 0,
    excess_bps  integer        NOT NULL DEFAULT 0,
    state       smallint       NOT NULL DEFAULT 1,
    operations  integer        NOT NULL DEFAULT 1,
    reference   text           NOT NULL DEFAULT '',
    create_time timestamptz    NOT NULL,
    expire_time timestamptz    NOT NULL,
    close_time  timestamptz,
    CONSTRAINT holds_amount CHECK (amount > 0),
    CONSTRAINT holds_captured CHECK (captured >= 0),
    CONSTRAINT holds_excess CHECK (excess_bps BETWEEN 0 AND 10000),
    CONSTRAINT holds_state CHECK (state BETWEEN 1 AND 4),
    CONSTRAINT holds_closed CHECK ((state = 1) = (close_time IS NULL))
) WITH (fillfactor = 75);
-- The queue of what will expire: a row is a job that can't be lost.
CREATE INDEX holds_due ON holds (expire_time) WHERE state = 1;
CREATE INDEX holds_account ON holds (account_id, id);
GRANT SELECT, INSERT, UPDATE (amount, captured, state, operations, close_time, reference) ON holds TO tillbook_app;

COMMENT ON COLUMN holds.state IS '1 open, 2 captured, 3 voided, 4 expired.';
COMMENT ON COLUMN holds.amount IS 'What was authorized in all.';
COMMENT ON COLUMN holds.excess_bps IS 'By how many hundredths of a percent captures may exceed amount.';
COMMENT ON COLUMN holds.operations IS 'The number of rows in hold_operations.';

-- What was done to holds, and the idempotency keys of what moved no money. Rows
-- never change.
CREATE TABLE hold_operations (
    hold_id        uuid           NOT NULL,
    position       integer        NOT NULL,
    kind           smallint       NOT NULL,
    account_id     bigint         NOT NULL,
    held_change    numeric(38, 0) NOT NULL,
    amount         numeric(38, 0) NOT NULL,
    captured       numeric(38, 0) NOT NULL,
    state          smallint       NOT NULL,
    counted_amount numeric(38, 0) NOT NULL,
    counted_number integer        NOT NULL,
    counted_time   timestamptz    NOT NULL,
    transaction_id uuid,
    key_hash       uuid,
    fingerprint    bytea,
    create_time    timestamptz    NOT NULL,
    CONSTRAINT hold_operations_pkey PRIMARY KEY (hold_id, position),
    CONSTRAINT hold_operations_kind CHECK (kind BETWEEN 1 AND 5),
    CONSTRAINT hold_operations_capture CHECK ((kind = 3) = (transaction_id IS NOT NULL)),
    CONSTRAINT hold_operations_keyed CHECK ((key_hash IS NULL) = (fingerprint IS NULL))
);
CREATE UNIQUE INDEX hold_operations_key ON hold_operations (key_hash) WHERE key_hash IS NOT NULL;
CREATE INDEX hold_operations_transaction ON hold_operations (transaction_id) WHERE transaction_id IS NOT NULL;
GRANT SELECT, INSERT ON hold_operations TO tillbook_app;

COMMENT ON COLUMN hold_operations.kind IS '1 create, 2 increase, 3 capture, 4 void, 5 expire.';
COMMENT ON COLUMN hold_operations.held_change IS 'By how much it changed what the account has held.';
COMMENT ON COLUMN hold_operations.amount IS 'The hold''s amount after it; so are captured and state.';
COMMENT ON COLUMN hold_operations.counted_amount IS 'What it added to the account''s outgoing counters that count since counted_time or before.';
COMMENT ON COLUMN hold_operations.key_hash IS 'As in transactions. A capture''s key is that of its transaction.';

-- What was given back of a transaction, by which one. What an original has been
-- refunded is read under the locks of its accounts.
CREATE TABLE refunds (
    transaction_id uuid           PRIMARY KEY,
    original_id    uuid           NOT NULL,
    amount         numeric(38, 0) NOT NULL,
    outgoing_time  timestamptz    NOT NULL,
    incoming_time  timestamptz    NOT NULL,
    counted_number smallint       NOT NULL,
    CONSTRAINT refunds_amount CHECK (amount > 0),
    CONSTRAINT refunds_other CHECK (transaction_id <> original_id)
);
CREATE INDEX refunds_original ON refunds (original_id);
GRANT SELECT, INSERT ON refunds TO tillbook_app;

COMMENT ON COLUMN refunds.amount IS 'What of the original''s first entry it gave back.';
COMMENT ON COLUMN refunds.outgoing_time IS 'Since when the original counts as outgoing: counters that began later get nothing back. In the year 1 if it never counted.';
COMMENT ON COLUMN refunds.counted_number IS '1 if it gave back the last of the original, which then no longer counts as one.';

-- How something ended that can end only once, such as a request for money: the
-- first row wins.
CREATE TABLE resolutions (
    subject        uuid        PRIMARY KEY,
    outcome        smallint    NOT NULL,
    transaction_id uuid,
    create_time    timestamptz NOT NULL
);
GRANT SELECT, INSERT ON resolutions TO tillbook_app;

-- Texts are personal data. What is sealed of them is a salted commitment, so
-- that they can be erased and everything still verifies.
ALTER TABLE transactions
    ADD COLUMN salt       uuid,
    ADD COLUMN commitment bytea,
    ADD COLUMN counted    boolean,
    ADD CONSTRAINT transactions_commitment CHECK (length(commitment) = 32);
UPDATE transactions SET salt = gen_random_uuid() WHERE note IS NOT NULL OR details IS NOT NULL;
-- What an older version of the server writes gets one too.
ALTER TABLE transactions ALTER COLUMN salt SET DEFAULT gen_random_uuid();
GRANT SELECT, INSERT ON transactions TO tillbook_app;

COMMENT ON COLUMN transactions.salt IS 'Random; NULL where there is no text.';
COMMENT ON COLUMN transactions.counted IS 'True if counters of limits counted it; NULL otherwise.';
COMMENT ON COLUMN transactions.commitment IS 'What is sealed of a text that was erased; NULL otherwise.';

-- The hashes of what a batch made, for the log that seals them; NULL where the
-- sealer has to read the rows. They don't compress.
ALTER TABLE events ADD COLUMN leaves bytea;
ALTER TABLE events ALTER COLUMN leaves SET STORAGE EXTERNAL;
GRANT SELECT, INSERT ON events TO tillbook_app;

-- +goose Down
ALTER TABLE events DROP COLUMN leaves;
ALTER TABLE transactions DROP COLUMN counted, DROP COLUMN commitment, DROP COLUMN salt;
DROP TABLE resolutions;
DROP TABLE refunds;
DROP TABLE hold_operations;
DROP TABLE holds;
DROP TABLE limit_version;
DROP TABLE limit_rules;
DROP TABLE owners;
ALTER TABLE accounts DROP COLUMN receivable_id, DROP COLUMN usage, DROP COLUMN tier;
