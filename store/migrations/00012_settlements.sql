-- +goose Up

-- When a merchant's sales become available next. NULL stands for at once: not by
-- the clock, but whenever there is something.
ALTER TABLE merchants ADD COLUMN settle_time timestamptz;
CREATE INDEX merchants_settle_time ON merchants (settle_time) WHERE settle_time IS NOT NULL;
GRANT UPDATE (settle_time) ON merchants TO tillbook_app;

-- Documents about moves from pending to available. Each covers the pending
-- account's entries from first_version on and before last_version, which is the
-- entry that took their sum out. So they follow each other without gaps, each says
-- nothing that isn't in the books, and can be written again from them. Its id is
-- that of the transaction.
CREATE TABLE settlements (
    id            uuid           PRIMARY KEY,
    merchant_id   uuid           NOT NULL REFERENCES merchants (id),
    account_id    bigint         NOT NULL,
    asset_id      smallint       NOT NULL REFERENCES assets (id),
    first_version bigint         NOT NULL,
    last_version  bigint         NOT NULL,
    sale_count    integer        NOT NULL,
    refund_count  integer        NOT NULL,
    gross         numeric(38, 0) NOT NULL,
    tips          numeric(38, 0) NOT NULL,
    refunds       numeric(38, 0) NOT NULL,
    fees          numeric(38, 0) NOT NULL,
    net           numeric(38, 0) NOT NULL,
    create_time   timestamptz    NOT NULL,
    CONSTRAINT settlements_versions UNIQUE (account_id, last_version),
    CONSTRAINT settlements_range CHECK (first_version < last_version),
    CONSTRAINT settlements_net CHECK (net > 0 AND net = gross - refunds - fees)
);
CREATE INDEX settlements_merchant ON settlements (merchant_id, id);
GRANT SELECT, INSERT ON settlements TO tillbook_app;

-- Which checkout a transaction paid.
CREATE INDEX resolutions_transaction ON resolutions (transaction_id) WHERE transaction_id IS NOT NULL;

-- Invitations to work for a merchant: 1 open, 2 accepted, 3 declined, 4 canceled.
-- One that is open beyond its time has expired.
CREATE TABLE invitations (
    id           uuid        PRIMARY KEY,
    merchant_id  uuid        NOT NULL REFERENCES merchants (id),
    inviter_id   uuid        NOT NULL,
    phone_number text        COLLATE "C" NOT NULL,
    role         smallint    NOT NULL,
    state        smallint    NOT NULL DEFAULT 1,
    user_id      uuid,
    key_hash     uuid        NOT NULL,
    fingerprint  bytea       NOT NULL,
    create_time  timestamptz NOT NULL,
    expire_time  timestamptz NOT NULL,
    CONSTRAINT invitations_key UNIQUE (key_hash),
    CONSTRAINT invitations_role CHECK (role BETWEEN 2 AND 3),
    CONSTRAINT invitations_state CHECK (state BETWEEN 1 AND 4),
    CONSTRAINT invitations_user CHECK ((state IN (2, 3)) = (user_id IS NOT NULL))
);
CREATE INDEX invitations_merchant ON invitations (merchant_id, id);
CREATE INDEX invitations_phone_number ON invitations (phone_number, id);
GRANT SELECT, INSERT, UPDATE (state, user_id), DELETE ON invitations TO tillbook_app;

COMMENT ON COLUMN invitations.user_id IS 'Who accepted or declined it.';

-- Invitations as they stand: 5 is expired.
CREATE VIEW invitation_states AS
    SELECT i.id, i.merchant_id, m.name AS merchant_name, i.inviter_id, i.phone_number, i.role, i.user_id,
           i.create_time, i.expire_time,
           (CASE WHEN i.state = 1 AND i.expire_time <= clock_timestamp() THEN 5 ELSE i.state END)::smallint AS state
      FROM invitations i
      JOIN merchants m ON m.id = i.merchant_id;
GRANT SELECT ON invitation_states TO tillbook_app;

-- The hours that somebody works at a terminal, or at a counter without one.
CREATE TABLE shifts (
    id          uuid        PRIMARY KEY,
    merchant_id uuid        NOT NULL REFERENCES merchants (id),
    store_id    uuid        NOT NULL REFERENCES stores (id),
    terminal_id uuid        REFERENCES terminals (id),
    user_id     uuid        NOT NULL,
    key_hash    uuid        NOT NULL,
    fingerprint bytea       NOT NULL,
    open_time   timestamptz NOT NULL,
    close_time  timestamptz,
    CONSTRAINT shifts_key UNIQUE (key_hash),
    CONSTRAINT shifts_times CHECK (close_time >= open_time)
);
CREATE UNIQUE INDEX shifts_open_terminal ON shifts (terminal_id) WHERE close_time IS NULL;
CREATE UNIQUE INDEX shifts_open_user ON shifts (merchant_id, user_id) WHERE close_time IS NULL;
CREATE INDEX shifts_merchant ON shifts (merchant_id, id);
GRANT SELECT, INSERT, UPDATE (close_time) ON shifts TO tillbook_app;

-- +goose Down
DROP TABLE shifts;
DROP VIEW invitation_states;
DROP TABLE invitations;
DROP INDEX resolutions_transaction;
DROP TABLE settlements;
DROP INDEX merchants_settle_time;
ALTER TABLE merchants DROP COLUMN settle_time;
