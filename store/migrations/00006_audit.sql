-- +goose Up

-- Who did what, when and from where. Rows are never changed or deleted; what is
-- personal in them can be erased by the function below, since what is sealed of
-- it is a salted commitment.
CREATE TABLE audit_records (
    id          uuid        PRIMARY KEY,
    create_time timestamptz NOT NULL,
    actor_kind  text        NOT NULL,
    actor_id    uuid,
    action      text        NOT NULL,
    subject     text        NOT NULL,
    details     jsonb,
    client_ip   text        NOT NULL DEFAULT '',
    request_id  text        NOT NULL DEFAULT '',
    salt        uuid,
    commitment  bytea,
    CONSTRAINT audit_records_actor CHECK (actor_kind IN ('operator', 'user', 'system')),
    CONSTRAINT audit_records_commitment CHECK (length(commitment) = 32)
);
CREATE INDEX audit_records_actor_id ON audit_records (actor_id, id) WHERE actor_id IS NOT NULL;
CREATE INDEX audit_records_subject ON audit_records (subject, id);
CREATE INDEX audit_records_action ON audit_records (action text_pattern_ops, id);
GRANT SELECT, INSERT ON audit_records TO tillbook_app;

COMMENT ON COLUMN audit_records.id IS 'UUIDv7: records are listed by id, newest first.';
COMMENT ON COLUMN audit_records.subject IS 'What it is about, such as user/usr_…; may be empty.';
COMMENT ON COLUMN audit_records.commitment IS 'What is sealed of what was erased; NULL otherwise.';

-- Erasing texts is all that the serving role can do to rows of the books: these
-- functions run with the rights of the owner. The commitment, which the caller has
-- computed from the row, takes the text's place; a false one breaks the seal.
-- +goose StatementBegin
CREATE FUNCTION erase_transaction_texts(ids uuid[], commitments bytea[]) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public
AS $$
    WITH erased AS (
        UPDATE public.transactions t
           SET note = NULL, details = NULL, salt = NULL,
               fingerprint = decode(repeat('00', 32), 'hex'), commitment = e.commitment
          FROM unnest(ids, commitments) AS e (id, commitment)
         WHERE t.id = e.id AND t.commitment IS NULL AND (t.note IS NOT NULL OR t.details IS NOT NULL)
        RETURNING 1
    )
    SELECT count(*) FROM erased
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION erase_audit_details(ids uuid[], commitments bytea[]) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public
AS $$
    WITH erased AS (
        UPDATE public.audit_records r
           SET details = NULL, client_ip = '', request_id = '', salt = NULL, commitment = e.commitment
          FROM unnest(ids, commitments) AS e (id, commitment)
         WHERE r.id = e.id AND r.commitment IS NULL AND r.salt IS NOT NULL
        RETURNING 1
    )
    SELECT count(*) FROM erased
$$;
-- +goose StatementEnd

-- An erased user is gone from here; their id stays in the books.
-- +goose StatementBegin
CREATE FUNCTION erase_user(erased uuid) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public
AS $$
    DELETE FROM public.users WHERE id = erased
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION erase_transaction_texts, erase_audit_details, erase_user FROM PUBLIC;
GRANT EXECUTE ON FUNCTION erase_transaction_texts, erase_audit_details, erase_user TO tillbook_app;

-- +goose Down
DROP FUNCTION erase_user;
DROP FUNCTION erase_audit_details;
DROP FUNCTION erase_transaction_texts;
DROP TABLE audit_records;
