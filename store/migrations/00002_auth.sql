-- +goose Up

-- People with a verified phone number. Usernames are compared without regard to
-- case; in the collation "C" lower() folds ASCII only, and the form below lets
-- nothing else in.
CREATE TABLE users (
    id            uuid        PRIMARY KEY,
    phone_number  text        COLLATE "C" NOT NULL,
    username      text        COLLATE "C" NOT NULL,
    password_hash text        NOT NULL,
    password_time timestamptz NOT NULL,
    create_time   timestamptz NOT NULL,
    CONSTRAINT users_phone_number_key UNIQUE (phone_number),
    CONSTRAINT users_phone_number_form CHECK (phone_number ~ '^\+[1-9][0-9]{4,14}$'),
    CONSTRAINT users_username_form CHECK (username ~ '^[A-Za-z][A-Za-z0-9._]{2,31}$')
);
CREATE UNIQUE INDEX users_username_key ON users (lower(username));
GRANT SELECT, INSERT, UPDATE (password_hash, password_time) ON users TO tillbook_app;

COMMENT ON COLUMN users.phone_number IS 'E.164, such as +628123456789.';
COMMENT ON COLUMN users.password_hash IS 'argon2id in the PHC string format.';

-- Devices on which a code was verified: their owner signs in there with the
-- password alone.
CREATE TABLE devices (
    id          uuid        PRIMARY KEY,
    user_id     uuid        NOT NULL REFERENCES users (id),
    token_hash  bytea       NOT NULL,
    name        text        NOT NULL,
    create_time timestamptz NOT NULL,
    last_time   timestamptz NOT NULL,
    expire_time timestamptz NOT NULL,
    CONSTRAINT devices_token_hash_key UNIQUE (token_hash)
);
CREATE INDEX devices_user_id ON devices (user_id, last_time);
CREATE INDEX devices_expire_time ON devices (expire_time);
GRANT SELECT, INSERT, DELETE, UPDATE (name, last_time, expire_time) ON devices TO tillbook_app;

COMMENT ON COLUMN devices.token_hash IS 'SHA-256 over the token of 256 random bits.';

CREATE TABLE sessions (
    id                uuid        PRIMARY KEY,
    user_id           uuid        NOT NULL REFERENCES users (id),
    device_id         uuid        REFERENCES devices (id) ON DELETE SET NULL,
    device_name       text        NOT NULL,
    generation        integer     NOT NULL DEFAULT 0,
    create_time       timestamptz NOT NULL,
    last_refresh_time timestamptz NOT NULL,
    expire_time       timestamptz NOT NULL,
    revoke_time       timestamptz,
    revoke_reason     text
);
CREATE INDEX sessions_user_id ON sessions (user_id, id);
CREATE INDEX sessions_device_id ON sessions (device_id);
CREATE INDEX sessions_expire_time ON sessions (expire_time);
GRANT SELECT, INSERT, DELETE,
      UPDATE (device_id, generation, last_refresh_time, revoke_time, revoke_reason)
      ON sessions TO tillbook_app;

COMMENT ON COLUMN sessions.generation IS 'The generation of the newest refresh token; the first has 0.';

-- Every refresh token that a session ever had, so that a token which comes back
-- after its time is recognised as stolen. Rows never change.
CREATE TABLE refresh_tokens (
    token_hash bytea   PRIMARY KEY,
    session_id uuid    NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    generation integer NOT NULL,
    CONSTRAINT refresh_tokens_generation UNIQUE (session_id, generation)
);
GRANT SELECT, INSERT, DELETE ON refresh_tokens TO tillbook_app;

COMMENT ON COLUMN refresh_tokens.token_hash IS 'SHA-256 over the token of 256 bits.';

-- Sessions that were ended while an access token of theirs may still be valid.
-- Replicas read it past a cursor on xid, each second.
CREATE TABLE session_revocations (
    xid         bigint      NOT NULL DEFAULT (pg_current_xact_id()::text::bigint),
    session_id  uuid        NOT NULL,
    create_time timestamptz NOT NULL,
    CONSTRAINT session_revocations_pkey PRIMARY KEY (xid, session_id)
);
CREATE INDEX session_revocations_create_time ON session_revocations (create_time);
GRANT SELECT, INSERT, DELETE ON session_revocations TO tillbook_app;

-- One-time codes that were sent, and what they are for. A challenge without a
-- user and without a pending registration is a decoy: it answers like any other
-- and can't be solved, so that nobody learns which numbers have an account.
CREATE TABLE challenges (
    id            uuid        PRIMARY KEY,
    purpose       text        NOT NULL,
    phone_number  text        COLLATE "C" NOT NULL,
    user_id       uuid        REFERENCES users (id),
    username      text        COLLATE "C",
    password_hash text,
    device_name   text        NOT NULL DEFAULT '',
    code_hash     bytea       NOT NULL,
    tries         smallint    NOT NULL DEFAULT 0,
    sends         smallint    NOT NULL DEFAULT 1,
    create_time   timestamptz NOT NULL,
    resend_time   timestamptz NOT NULL,
    expire_time   timestamptz NOT NULL,
    use_time      timestamptz,
    CONSTRAINT challenges_purpose CHECK (purpose IN ('register', 'login', 'password_reset')),
    CONSTRAINT challenges_registration CHECK ((username IS NULL) = (password_hash IS NULL)),
    CONSTRAINT challenges_login_user CHECK (purpose <> 'login' OR user_id IS NOT NULL),
    CONSTRAINT challenges_tries CHECK (tries BETWEEN 0 AND 5)
);
CREATE INDEX challenges_user_id ON challenges (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX challenges_expire_time ON challenges (expire_time);
GRANT SELECT, INSERT, DELETE,
      UPDATE (code_hash, tries, sends, resend_time, expire_time, use_time, username, password_hash)
      ON challenges TO tillbook_app;

COMMENT ON COLUMN challenges.code_hash IS 'HMAC-SHA256 over purpose, id and code; random for a decoy.';
COMMENT ON COLUMN challenges.tries IS 'Codes tried, counted before they are compared; at most 5.';
COMMENT ON COLUMN challenges.username IS 'The name that a pending registration asks for.';

-- Keys that replicas share. Private ones are sealed under the key from the
-- configuration, with the row''s id as associated data.
CREATE TABLE server_keys (
    id          uuid        PRIMARY KEY,
    kind        text        NOT NULL,
    public_key  bytea,
    sealed_key  bytea       NOT NULL,
    create_time timestamptz NOT NULL,
    use_time    timestamptz NOT NULL,
    CONSTRAINT server_keys_kind CHECK (kind IN ('sign', 'mac')),
    CONSTRAINT server_keys_public_key CHECK ((kind = 'sign') = (public_key IS NOT NULL))
);
GRANT SELECT, INSERT, DELETE ON server_keys TO tillbook_app;

COMMENT ON COLUMN server_keys.kind IS 'sign: Ed25519, for access tokens; mac: HMAC-SHA256, for codes and refresh tokens.';
COMMENT ON COLUMN server_keys.use_time IS 'From when on the key makes new signatures; it is published before.';

-- Token buckets shared by all replicas (GCRA): a row says up to when a bucket's
-- allowance is spoken for. A quarter of each page is left free, so that an
-- update touches no index (HOT): tat must stay unindexed for that, and the
-- sweeper reads the table through.
CREATE TABLE rate_limits (
    key bytea       PRIMARY KEY,
    tat timestamptz NOT NULL
) WITH (fillfactor = 75);
GRANT SELECT, INSERT, UPDATE, DELETE ON rate_limits TO tillbook_app;

COMMENT ON COLUMN rate_limits.key IS 'The first 16 bytes of a keyed hash over the limit''s name and its subject.';
COMMENT ON COLUMN rate_limits.tat IS 'The theoretical arrival time.';

-- +goose Down
DROP TABLE rate_limits;
DROP TABLE server_keys;
DROP TABLE challenges;
DROP TABLE session_revocations;
DROP TABLE refresh_tokens;
DROP TABLE sessions;
DROP TABLE devices;
DROP TABLE users;
