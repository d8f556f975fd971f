-- +goose Up

-- The transparency log over everything that was committed: an RFC 6962 tree whose
-- leaves are transactions and audit records, in the order in which they were
-- committed. One row says where it stands; whoever holds it seals.
CREATE TABLE log_head (
    single      boolean     PRIMARY KEY DEFAULT true,
    size        bigint      NOT NULL DEFAULT 0,
    root        bytea       NOT NULL DEFAULT sha256(''),
    checkpoint  text        NOT NULL DEFAULT '',
    cursor      bigint      NOT NULL DEFAULT 0,
    update_time timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT log_head_single CHECK (single),
    CONSTRAINT log_head_root CHECK (length(root) = 32)
);
INSERT INTO log_head DEFAULT VALUES;
GRANT SELECT, UPDATE (size, root, checkpoint, cursor, update_time) ON log_head TO tillbook_app;

COMMENT ON COLUMN log_head.cursor IS 'All events of lower transaction numbers are sealed.';
COMMENT ON COLUMN log_head.checkpoint IS 'The signed checkpoint of this size; empty before the first.';

-- Which leaves a commit made. Its ids are consecutive.
CREATE TABLE log_batches (
    first_leaf bigint   PRIMARY KEY,
    count      integer  NOT NULL,
    kind       smallint NOT NULL,
    event_id   bigint   NOT NULL,
    first_id   uuid     NOT NULL,
    last_id    uuid     NOT NULL,
    CONSTRAINT log_batches_event UNIQUE (event_id),
    CONSTRAINT log_batches_kind CHECK (kind IN (1, 2)),
    CONSTRAINT log_batches_count CHECK (count > 0)
);
CREATE INDEX log_batches_ids ON log_batches (kind, first_id);
GRANT SELECT, INSERT ON log_batches TO tillbook_app;

COMMENT ON COLUMN log_batches.kind IS '1 transactions, 2 an audit record.';

-- The tree in tiles of up to 256 hashes: those of leaves are of level 0, and each
-- full tile's own hash stands in a tile of the level above.
CREATE TABLE log_tiles (
    level  smallint NOT NULL,
    index  bigint   NOT NULL,
    hashes bytea    NOT NULL,
    CONSTRAINT log_tiles_pkey PRIMARY KEY (level, index),
    CONSTRAINT log_tiles_hashes CHECK (length(hashes) BETWEEN 32 AND 8192 AND length(hashes) % 32 = 0)
);
ALTER TABLE log_tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;
GRANT SELECT, INSERT, UPDATE (hashes) ON log_tiles TO tillbook_app;

-- The key that signs checkpoints, sealed under the key from the configuration.
CREATE TABLE log_keys (
    id          uuid        PRIMARY KEY,
    verifier    text        NOT NULL,
    sealed_key  bytea       NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT ON log_keys TO tillbook_app;

COMMENT ON COLUMN log_keys.verifier IS 'The public key as NAME+HASH+KEY, as golang.org/x/mod/sumdb/note has it.';

-- +goose Down
DROP TABLE log_keys;
DROP TABLE log_tiles;
DROP TABLE log_batches;
DROP TABLE log_head;
