-- +goose Up

-- What Tillbook keeps of payments: plans that operators make, with a rate for each
-- asset.
CREATE TABLE fee_plans (
    name        text        PRIMARY KEY,
    update_time timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, UPDATE (update_time) ON fee_plans TO tillbook_app;

CREATE TABLE fee_rates (
    plan         text           NOT NULL REFERENCES fee_plans (name),
    asset_id     smallint       NOT NULL REFERENCES assets (id),
    basis_points integer        NOT NULL,
    fixed        numeric(38, 0) NOT NULL,
    CONSTRAINT fee_rates_pkey PRIMARY KEY (plan, asset_id),
    CONSTRAINT fee_rates_basis_points CHECK (basis_points BETWEEN 0 AND 10000),
    CONSTRAINT fee_rates_fixed CHECK (fixed >= 0)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON fee_rates TO tillbook_app;

CREATE TABLE merchants (
    id                  uuid        PRIMARY KEY,
    owner_id            uuid        NOT NULL,
    name                text        NOT NULL,
    country             text        NOT NULL,
    city                text        NOT NULL,
    category_code       text        NOT NULL,
    time_zone           text        NOT NULL,
    fee_plan            text        REFERENCES fee_plans (name),
    settlement_interval smallint    NOT NULL,
    settlement_minute   smallint    NOT NULL,
    settlement_weekday  smallint    NOT NULL,
    key_hash            uuid        NOT NULL,
    fingerprint         bytea       NOT NULL,
    create_time         timestamptz NOT NULL,
    CONSTRAINT merchants_key UNIQUE (key_hash),
    CONSTRAINT merchants_interval CHECK (settlement_interval BETWEEN 1 AND 3),
    CONSTRAINT merchants_minute CHECK (settlement_minute BETWEEN 0 AND 1439),
    CONSTRAINT merchants_weekday CHECK (settlement_weekday BETWEEN 0 AND 7)
);
CREATE INDEX merchants_owner ON merchants (owner_id);
GRANT SELECT, INSERT, UPDATE (fee_plan, settlement_interval, settlement_minute, settlement_weekday) ON merchants TO tillbook_app;

COMMENT ON COLUMN merchants.owner_id IS 'A user, who may be erased since.';
COMMENT ON COLUMN merchants.settlement_interval IS '1 at once, 2 daily, 3 weekly.';
COMMENT ON COLUMN merchants.settlement_weekday IS '1 Monday to 7 Sunday; 0 unless weekly.';

CREATE TABLE stores (
    id          uuid        PRIMARY KEY,
    merchant_id uuid        NOT NULL REFERENCES merchants (id),
    name        text        NOT NULL,
    city        text        NOT NULL,
    key_hash    uuid        NOT NULL,
    fingerprint bytea       NOT NULL,
    create_time timestamptz NOT NULL,
    CONSTRAINT stores_key UNIQUE (key_hash)
);
CREATE INDEX stores_merchant ON stores (merchant_id, id);
GRANT SELECT, INSERT ON stores TO tillbook_app;

CREATE TABLE staff (
    merchant_id uuid        NOT NULL REFERENCES merchants (id),
    user_id     uuid        NOT NULL,
    role        smallint    NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT staff_pkey PRIMARY KEY (merchant_id, user_id),
    CONSTRAINT staff_role CHECK (role BETWEEN 1 AND 3)
);
CREATE INDEX staff_user ON staff (user_id, merchant_id);
CREATE UNIQUE INDEX staff_owner ON staff (merchant_id) WHERE role = 1;
GRANT SELECT, INSERT, UPDATE (role), DELETE ON staff TO tillbook_app;

COMMENT ON COLUMN staff.role IS '1 owner, 2 manager, 3 cashier: as in the API.';

-- Terminals are here for what names them; what else they need comes with them.
CREATE TABLE terminals (
    id          uuid        PRIMARY KEY,
    merchant_id uuid        NOT NULL REFERENCES merchants (id),
    store_id    uuid        NOT NULL REFERENCES stores (id),
    name        text        NOT NULL,
    key_hash    uuid        NOT NULL,
    fingerprint bytea       NOT NULL,
    create_time timestamptz NOT NULL,
    CONSTRAINT terminals_key UNIQUE (key_hash)
);
CREATE INDEX terminals_merchant ON terminals (merchant_id, id);
GRANT SELECT, INSERT ON terminals TO tillbook_app;

-- What subscribers to a merchant or a terminal read, in the order in which it can
-- be read without missing anything that commits late.
CREATE INDEX events_subject ON events (subject, xid, id) WHERE subject <> '';

-- +goose Down
DROP INDEX events_subject;
DROP TABLE terminals;
DROP TABLE staff;
DROP TABLE stores;
DROP TABLE merchants;
DROP TABLE fee_rates;
DROP TABLE fee_plans;
