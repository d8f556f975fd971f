-- +goose Up

-- A merchant's sale on its way to being paid. How it ended, or that it is
-- authorized, is its row in resolutions: 1 succeeded, 2 declined, 3 canceled,
-- 4 authorized, 5 expired. The hold of an authorized one has the checkout's own id,
-- and what became of the hold is what became of the checkout.
CREATE TABLE checkouts (
    id               uuid           PRIMARY KEY,
    merchant_id      uuid           NOT NULL REFERENCES merchants (id),
    store_id         uuid           NOT NULL REFERENCES stores (id),
    terminal_id      uuid           REFERENCES terminals (id),
    created_by       uuid,
    code             text           NOT NULL,
    asset_id         smallint       NOT NULL REFERENCES assets (id),
    amount           numeric(38, 0) NOT NULL,
    reference        text           NOT NULL,
    items            jsonb          NOT NULL,
    tip_allowed      boolean        NOT NULL,
    tip_percentages  smallint[]     NOT NULL,
    capture          smallint       NOT NULL,
    fee_basis_points integer        NOT NULL,
    fee_fixed        numeric(38, 0) NOT NULL,
    key_hash         uuid           NOT NULL,
    fingerprint      bytea          NOT NULL,
    create_time      timestamptz    NOT NULL,
    expire_time      timestamptz    NOT NULL,
    dispatch_time    timestamptz,
    acknowledge_time timestamptz,
    due_time         timestamptz,
    CONSTRAINT checkouts_key UNIQUE (key_hash),
    CONSTRAINT checkouts_code UNIQUE (code),
    CONSTRAINT checkouts_code_form CHECK (code ~ '^[0-9A-HJKMNP-TV-Z]{12}$'),
    CONSTRAINT checkouts_amount CHECK (amount > 0),
    CONSTRAINT checkouts_capture CHECK (capture IN (1, 2)),
    CONSTRAINT checkouts_fee CHECK (fee_basis_points BETWEEN 0 AND 10000 AND fee_fixed >= 0)
) WITH (fillfactor = 80);
CREATE INDEX checkouts_merchant ON checkouts (merchant_id, id);
CREATE INDEX checkouts_terminal ON checkouts (terminal_id, id) WHERE terminal_id IS NOT NULL;
-- The queue of what will expire: a row is a job that can't be lost.
CREATE INDEX checkouts_due ON checkouts (due_time) WHERE due_time IS NOT NULL;
-- Those that may be open, to bound how many are.
CREATE INDEX checkouts_open ON checkouts (merchant_id, terminal_id) WHERE due_time IS NOT NULL;
GRANT SELECT, INSERT, UPDATE (dispatch_time, acknowledge_time, due_time) ON checkouts TO tillbook_app;

COMMENT ON COLUMN checkouts.created_by IS 'The user who made it; NULL if its terminal did.';
COMMENT ON COLUMN checkouts.items IS 'A list of {name, quantity, price}; prices are integers of the smallest unit, as strings.';
COMMENT ON COLUMN checkouts.capture IS '1 automatic, 2 manual: as in the API.';
COMMENT ON COLUMN checkouts.fee_basis_points IS 'The merchant''s rate when it was made; so is fee_fixed.';
COMMENT ON COLUMN checkouts.due_time IS 'When to look whether it has expired; NULL once it has ended.';

-- Checkouts with how they stand, numbered as in the API. An authorized one whose
-- hold has expired says so once due_time is gone, which is when it is told.
CREATE VIEW checkout_states AS
    SELECT s.*, CASE WHEN s.state <> 8 THEN 0 WHEN s.outcome = 4 THEN 4
                     WHEN s.terminal_id IS NULL OR s.acknowledge_time IS NOT NULL THEN 3
                     WHEN s.dispatch_time IS NOT NULL THEN 2 ELSE 1 END AS expiry
      FROM (
        SELECT c.id, c.merchant_id, c.store_id, c.terminal_id, c.created_by, c.code, c.asset_id, c.amount::text AS amount,
               c.reference, c.items, c.tip_allowed, c.tip_percentages, c.capture,
               c.fee_basis_points, c.fee_fixed::text AS fee_fixed,
               c.create_time, c.expire_time, c.dispatch_time, c.acknowledge_time, c.due_time,
               r.outcome, r.create_time AS resolve_time, r.transaction_id AS payment_id,
               h.account_id AS hold_account, coalesce(h.amount, 0)::text AS held, h.close_time AS hold_close_time,
               o.transaction_id AS capture_id,
               (CASE r.outcome WHEN 1 THEN 5 WHEN 2 THEN 6 WHEN 3 THEN 7 WHEN 5 THEN 8
                    WHEN 4 THEN CASE WHEN h.state = 2 THEN 5 WHEN h.state = 3 THEN 7
                                     WHEN h.state = 4 AND c.due_time IS NULL THEN 8 ELSE 4 END
                    ELSE CASE WHEN c.acknowledge_time IS NOT NULL THEN 3 WHEN c.dispatch_time IS NOT NULL THEN 2 ELSE 1 END
               END)::int AS state,
               coalesce(-t.a_amount, 0)::text AS paid, coalesce(a.code, '')::text AS payer,
               m.name AS merchant_name, m.owner_id, m.country, m.category_code,
               s.name AS store_name, s.city
          FROM checkouts c
          JOIN merchants m ON m.id = c.merchant_id
          JOIN stores s ON s.id = c.store_id
          LEFT JOIN resolutions r ON r.subject = c.id
          LEFT JOIN holds h ON h.id = c.id
          LEFT JOIN hold_operations o ON o.hold_id = h.id AND o.kind = 3 AND o.state = 2
          LEFT JOIN transactions t ON t.id = coalesce(r.transaction_id, o.transaction_id)
          LEFT JOIN accounts a ON a.id = coalesce(t.a_account, h.account_id)
      ) AS s;
GRANT SELECT ON checkout_states TO tillbook_app;

COMMENT ON COLUMN checkout_states.paid IS 'What the customer paid, tip included; 0 before.';
COMMENT ON COLUMN checkout_states.held IS 'What the customer authorized; 0 if nothing.';
COMMENT ON COLUMN checkout_states.payer IS 'The code of the account that paid or has it held.';

-- The code that a user can be charged by: one at a time. That it was used is a row
-- in resolutions, whose subject is the first half of its hash.
CREATE TABLE payment_codes (
    user_id     uuid           PRIMARY KEY,
    code_hash   bytea          NOT NULL,
    asset_id    smallint       NOT NULL REFERENCES assets (id),
    maximum     numeric(38, 0) NOT NULL,
    expire_time timestamptz    NOT NULL,
    CONSTRAINT payment_codes_hash UNIQUE (code_hash),
    CONSTRAINT payment_codes_maximum CHECK (maximum > 0)
) WITH (fillfactor = 80);
GRANT SELECT, INSERT, UPDATE, DELETE ON payment_codes TO tillbook_app;

COMMENT ON COLUMN payment_codes.code_hash IS 'A keyed hash; the code itself is nowhere.';

-- +goose Down
DROP TABLE payment_codes;
DROP VIEW checkout_states;
DROP TABLE checkouts;
