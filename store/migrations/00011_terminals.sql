-- +goose Up

-- What a terminal needs beyond its name. A row changes when somebody on the staff
-- says so, when a device is activated and when a session begins; what changes with
-- every heartbeat is in terminal_presence.
ALTER TABLE terminals
    ADD COLUMN public_key             bytea,
    ADD COLUMN device                 jsonb       NOT NULL DEFAULT '{}',
    ADD COLUMN epoch                  bigint      NOT NULL DEFAULT 0,
    ADD COLUMN base_epoch             bigint      NOT NULL DEFAULT 0,
    ADD COLUMN revision               bigint      NOT NULL DEFAULT 1,
    ADD COLUMN locked                 boolean     NOT NULL DEFAULT false,
    ADD COLUMN key_shared             boolean     NOT NULL DEFAULT false,
    ADD COLUMN activation_hash        bytea,
    ADD COLUMN activation_expire_time timestamptz,
    ADD COLUMN activation_tries       smallint    NOT NULL DEFAULT 0,
    ADD COLUMN activate_time          timestamptz,
    ADD COLUMN revoke_time            timestamptz,
    ADD CONSTRAINT terminals_public_key CHECK (length(public_key) = 32),
    ADD CONSTRAINT terminals_activation CHECK ((public_key IS NULL) = (activate_time IS NULL)),
    ADD CONSTRAINT terminals_activation_hash UNIQUE (activation_hash);
GRANT UPDATE (public_key, device, epoch, base_epoch, revision, locked, key_shared, activation_hash, activation_expire_time,
              activation_tries, activate_time, revoke_time) ON terminals TO tillbook_app;

COMMENT ON COLUMN terminals.epoch IS 'Number of the newest session; it grows and fences older ones.';
COMMENT ON COLUMN terminals.base_epoch IS 'Sessions up to this one prove nothing about who has the key.';
COMMENT ON COLUMN terminals.revision IS 'Number of the newest configuration.';
COMMENT ON COLUMN terminals.activation_hash IS 'Keyed hash of the newest activation code, used or not.';
COMMENT ON COLUMN terminals.activation_tries IS 'How often the code was used with a key that is not its device''s.';

-- What terminals say all the time, written in batches and never alone. It may be
-- some seconds behind; nothing that can't be sent again depends on it.
CREATE TABLE terminal_presence (
    terminal_id     uuid        PRIMARY KEY REFERENCES terminals (id),
    epoch           bigint      NOT NULL,
    confirmed_epoch bigint      NOT NULL,
    acked           bigint      NOT NULL,
    connected       boolean     NOT NULL,
    slow            boolean     NOT NULL,
    battery_percent smallint,
    charging        boolean     NOT NULL,
    network         text        NOT NULL,
    signal_percent  smallint    NOT NULL,
    version         text        NOT NULL,
    last_seen_time  timestamptz NOT NULL
) WITH (fillfactor = 50);
GRANT SELECT, INSERT, UPDATE ON terminal_presence TO tillbook_app;

COMMENT ON COLUMN terminal_presence.epoch IS 'The session that the row is of.';
COMMENT ON COLUMN terminal_presence.confirmed_epoch IS 'The newest session that the device is known to know.';
COMMENT ON COLUMN terminal_presence.acked IS 'The sequence up to which the device has taken its messages.';
COMMENT ON COLUMN terminal_presence.battery_percent IS 'Null until the device has said how it is.';

-- Terminals as people see them; the numbers are those of the API. A replica that
-- dies can't say that its terminals are gone, so a terminal is connected only if it
-- was heard of within two heartbeats and what it takes to write that.
CREATE VIEW terminal_states AS
SELECT t.*, p.connected, p.battery_percent, p.charging, p.network, p.signal_percent, p.version, p.last_seen_time,
       CASE WHEN t.revoke_time IS NOT NULL THEN 5
            WHEN t.public_key IS NULL THEN 1
            WHEN NOT n.online THEN 4
            WHEN n.attention <> 0 THEN 3
            ELSE 2 END::int AS state,
       (CASE WHEN t.revoke_time IS NOT NULL OR t.public_key IS NULL THEN 0
             WHEN NOT n.online AND n.attention > 2 THEN 0
             ELSE n.attention END)::int AS attention
  FROM terminals AS t
  LEFT JOIN terminal_presence AS p ON p.terminal_id = t.id
 CROSS JOIN LATERAL (
       SELECT coalesce(p.connected AND p.last_seen_time > clock_timestamp() - interval '70 seconds', false) AS online,
              CASE WHEN t.key_shared THEN 2
                   WHEN t.locked THEN 1
                   WHEN p.battery_percent <= 15 AND NOT p.charging THEN 3
                   WHEN p.slow THEN 4
                   ELSE 0 END AS attention) AS n;
GRANT SELECT ON terminal_states TO tillbook_app;

-- Assertions that were used, so that none is accepted twice by any replica.
CREATE TABLE terminal_assertions (
    id          uuid        PRIMARY KEY,
    expire_time timestamptz NOT NULL
);
CREATE INDEX terminal_assertions_expiry ON terminal_assertions (expire_time);
GRANT SELECT, INSERT, DELETE ON terminal_assertions TO tillbook_app;

COMMENT ON COLUMN terminal_assertions.id IS 'Hash of the terminal and the assertion''s jti.';

-- +goose Down
DROP TABLE terminal_assertions;
DROP VIEW terminal_states;
DROP TABLE terminal_presence;
ALTER TABLE terminals
    DROP COLUMN public_key, DROP COLUMN device, DROP COLUMN epoch, DROP COLUMN base_epoch, DROP COLUMN revision, DROP COLUMN locked,
    DROP COLUMN key_shared, DROP COLUMN activation_hash, DROP COLUMN activation_expire_time,
    DROP COLUMN activation_tries, DROP COLUMN activate_time, DROP COLUMN revoke_time;
REVOKE UPDATE ON terminals FROM tillbook_app;
