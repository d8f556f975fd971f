-- +goose Up

-- Operators are made and revoked by the owner of the database alone (the
-- command line); the serving role looks them up.
CREATE TABLE operators (
    id          uuid        PRIMARY KEY,
    name        text        NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT operators_name_key UNIQUE (name),
    CONSTRAINT operators_name_form CHECK (name ~ '^[a-z0-9][a-z0-9._@-]{0,62}$')
);
GRANT SELECT ON operators TO tillbook_app;

CREATE TABLE operator_keys (
    id          uuid        PRIMARY KEY,
    operator_id uuid        NOT NULL REFERENCES operators (id),
    key_hash    bytea       NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    revoke_time timestamptz,
    CONSTRAINT operator_keys_key_hash_key UNIQUE (key_hash),
    CONSTRAINT operator_keys_key_hash_size CHECK (length(key_hash) = 32)
);
CREATE INDEX operator_keys_operator_id ON operator_keys (operator_id);
GRANT SELECT ON operator_keys TO tillbook_app;

COMMENT ON COLUMN operator_keys.key_hash IS 'SHA-256 of the key: 256 random bits need no slower hash.';

-- The serving role compares the schema with what it was built for.
GRANT SELECT ON goose_db_version TO tillbook_app;

-- +goose Down
REVOKE SELECT ON goose_db_version FROM tillbook_app;
DROP TABLE operator_keys;
DROP TABLE operators;
