-- +goose Up

-- One user's request for money from another. Rows don't change but for their
-- note, which is erased with its author; how a request ended is its row in
-- resolutions: 1 paid, 2 declined, 3 canceled.
CREATE TABLE payment_requests (
    id           uuid           PRIMARY KEY,
    requester_id uuid           NOT NULL,
    payer_id     uuid           NOT NULL,
    asset_id     smallint       NOT NULL REFERENCES assets (id),
    amount       numeric(38, 0) NOT NULL,
    note         text           NOT NULL DEFAULT '',
    key_hash     uuid           NOT NULL,
    fingerprint  bytea          NOT NULL,
    create_time  timestamptz    NOT NULL,
    expire_time  timestamptz    NOT NULL,
    CONSTRAINT payment_requests_key UNIQUE (key_hash),
    CONSTRAINT payment_requests_amount CHECK (amount > 0),
    CONSTRAINT payment_requests_others CHECK (requester_id <> payer_id)
);
CREATE INDEX payment_requests_requester ON payment_requests (requester_id, id);
CREATE INDEX payment_requests_payer ON payment_requests (payer_id, id);
GRANT SELECT, INSERT, UPDATE (note) ON payment_requests TO tillbook_app;

-- Requests with how they stand: 1 open, 2 paid, 3 declined, 4 canceled, 5 expired.
CREATE VIEW payment_request_states AS
    SELECT p.id, p.requester_id, p.payer_id, p.asset_id, p.amount::text AS amount, p.note, p.create_time, p.expire_time,
           r.transaction_id, r.create_time AS close_time,
           CASE WHEN r.subject IS NOT NULL THEN r.outcome + 1
                WHEN p.expire_time <= clock_timestamp() THEN 5 ELSE 1 END AS state
      FROM payment_requests p
      LEFT JOIN resolutions r ON r.subject = p.id;
GRANT SELECT ON payment_request_states TO tillbook_app;

-- What each tier may move until operators decide otherwise, in about the same
-- worth of the usual currencies: units are those that one US dollar or so is. Ids
-- begin with the time as those of later limits do, since limits are listed by id.
INSERT INTO limit_rules (id, scope, asset_id, measure, direction, period, zone, maximum, create_time, update_time)
SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0') || '-7' || substr(gen_random_uuid()::text, 16))::uuid, 'tier/' || t.tier, a.id, r.measure, r.direction, r.period, 'UTC',
       (r.dollars::numeric * t.factor * u.units * 10 ^ a.exponent)::numeric(38, 0), now(), now()
  FROM (VALUES ('USD', 1), ('EUR', 1), ('CAD', 1), ('MYR', 5), ('HKD', 10), ('GHS', 10), ('JPY', 100),
               ('KES', 100), ('NGN', 1000), ('IDR', 10000)) AS u (code, units)
  JOIN assets a ON a.code = u.code
 CROSS JOIN (VALUES (0, 1), (1, 10), (2, 100)) AS t (tier, factor)
 CROSS JOIN (VALUES ('amount', 'outgoing', 'transaction', 1000),
                    ('amount', 'outgoing', 'day', 2000),
                    ('amount', 'outgoing', 'month', 10000),
                    ('balance', 'incoming', 'transaction', 10000)) AS r (measure, direction, period, dollars);
UPDATE limit_version SET version = version + 1;

-- +goose Down
DELETE FROM limit_rules;
DROP VIEW payment_request_states;
DROP TABLE payment_requests;
