-- +goose Up

-- What was sold at a terminal that has, or had, limits of its own. The money goes
-- from the customer to the merchant and never touches the terminal's account, which
-- has no entries: it is there for its counters, and this is what they counted.
CREATE TABLE metered (
    transaction_id uuid           PRIMARY KEY,
    account_id     bigint         NOT NULL,
    amount         numeric(38, 0) NOT NULL,
    create_time    timestamptz    NOT NULL,
    CONSTRAINT metered_amount CHECK (amount > 0)
);
CREATE INDEX metered_account ON metered (account_id, create_time);
GRANT SELECT, INSERT ON metered TO tillbook_app;

COMMENT ON COLUMN metered.account_id IS 'The account whose counters counted the transaction.';
COMMENT ON COLUMN metered.amount IS 'What the transaction''s first entry moved.';

-- Rules for terminals have been possible before, but counted nothing.
INSERT INTO accounts (code, asset_id, floor)
SELECT DISTINCT r.scope || '/' || a.code, r.asset_id, 0
  FROM limit_rules r JOIN assets a ON a.id = r.asset_id
 WHERE r.scope LIKE 'terminal/%'
    ON CONFLICT DO NOTHING;
UPDATE limit_version SET version = version + 1;

-- +goose Down
DROP TABLE metered;
