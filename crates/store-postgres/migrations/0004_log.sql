-- Expands only: servers of the version before go on, and store manifests that have no place in the
-- log until one of this version gives them theirs.

-- The shards of the transparency log, each of which continues the one before.
CREATE TABLE log_shards (
    ordinal integer PRIMARY KEY,
    origin text COLLATE "C" NOT NULL UNIQUE,
    verifier_key text NOT NULL,
    started_at timestamptz NOT NULL,
    sealed_at timestamptz
);

CREATE UNIQUE INDEX log_shards_open ON log_shards ((sealed_at IS NULL)) WHERE sealed_at IS NULL;

-- Where the next leaf goes. Whoever appends holds the row until it commits, so places are dense.
CREATE TABLE log_counters (
    shard integer PRIMARY KEY REFERENCES log_shards (ordinal),
    next_index bigint NOT NULL,
    is_open boolean NOT NULL
) WITH (fillfactor = 20);

CREATE TABLE log_entries (
    shard integer NOT NULL,
    log_index bigint NOT NULL,
    leaf bytea NOT NULL,
    PRIMARY KEY (shard, log_index)
);

CREATE FUNCTION sentinel_log_entries_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'leaves of the log are never edited or deleted';
END $$;

CREATE TRIGGER log_entries_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON log_entries
    FOR EACH STATEMENT EXECUTE FUNCTION sentinel_log_entries_stay();

CREATE TABLE log_tiles (
    shard integer NOT NULL,
    level smallint NOT NULL,
    tile_index bigint NOT NULL,
    hashes bytea NOT NULL,
    PRIMARY KEY (shard, level, tile_index)
);

-- How far a shard is sequenced.
CREATE TABLE log_heads (
    shard integer PRIMARY KEY REFERENCES log_shards (ordinal),
    size bigint NOT NULL,
    frontier bytea NOT NULL,
    checkpoint text,
    witnessed_size bigint,
    witnessed text
) WITH (fillfactor = 20);

-- Who sequences. The fence grows with each change of leader.
CREATE TABLE log_leader (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    holder uuid,
    fence bigint NOT NULL,
    held_until timestamptz NOT NULL
) WITH (fillfactor = 20);

INSERT INTO log_leader (holder, fence, held_until) VALUES (NULL, 0, '-infinity');

-- How far each destination of the log has got.
CREATE TABLE log_cursors (
    destination text COLLATE "C" NOT NULL,
    shard integer NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (destination, shard)
) WITH (fillfactor = 20);

-- What other services answered about a leaf.
CREATE TABLE log_receipts (
    shard integer NOT NULL,
    log_index bigint NOT NULL,
    kind text NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (shard, log_index, kind)
);

-- Signed statements about keys, logs and payloads.
CREATE TABLE log_statements (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL UNIQUE,
    kind text NOT NULL,
    tenant_id uuid,
    subject text NOT NULL,
    bundle text NOT NULL,
    created_at timestamptz NOT NULL,
    log_shard integer NOT NULL,
    log_index bigint NOT NULL
);

CREATE INDEX log_statements_kind ON log_statements (kind, sequence);

-- Keys of tenants, wrapped by the key of the deployment; none once destroyed.
CREATE TABLE payload_keys (
    tenant_id uuid NOT NULL,
    generation integer NOT NULL,
    wrapped bytea,
    created_at timestamptz NOT NULL,
    destroyed_at timestamptz,
    PRIMARY KEY (tenant_id, generation)
);

CREATE TABLE payloads (
    manifest_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    generation integer NOT NULL,
    sealed bytea NOT NULL
);

CREATE INDEX payloads_key ON payloads (tenant_id, generation);

-- Nothing is stored under a key that is destroyed, whoever writes. Who stores a manifest and who
-- destroys a key both hold the row of the log's counter before they come here, and each query of a
-- volatile function sees what is committed by then.
CREATE FUNCTION sentinel_payload_key_lives(tenant uuid, number integer) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM FROM payload_keys
        WHERE tenant_id = tenant AND generation = number AND destroyed_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'payload key destroyed' USING ERRCODE = 'SN001';
    END IF;
END $$;

CREATE FUNCTION sentinel_manifests_need_their_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM sentinel_payload_key_lives(NEW.tenant_id, NEW.key_generation);
    RETURN NEW;
END $$;

CREATE FUNCTION sentinel_payloads_need_their_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM sentinel_payload_key_lives(NEW.tenant_id, NEW.generation);
    RETURN NEW;
END $$;

CREATE TRIGGER payloads_need_their_key BEFORE INSERT ON payloads
    FOR EACH ROW EXECUTE FUNCTION sentinel_payloads_need_their_key();

CREATE FUNCTION sentinel_payload_keys_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'destroyed payload keys are never edited, and none is deleted';
END $$;

CREATE TRIGGER payload_keys_stay BEFORE UPDATE ON payload_keys
    FOR EACH ROW WHEN (OLD.destroyed_at IS NOT NULL)
    EXECUTE FUNCTION sentinel_payload_keys_stay();
CREATE TRIGGER payload_keys_are_kept BEFORE DELETE OR TRUNCATE ON payload_keys
    FOR EACH STATEMENT EXECUTE FUNCTION sentinel_payload_keys_stay();

-- `key_generation` says which key of the tenant the salt was made with; none is the tenant's secret.
ALTER TABLE manifests
    ADD COLUMN phase text NOT NULL DEFAULT 'outcome',
    ADD COLUMN key_generation integer,
    ADD COLUMN log_shard integer,
    ADD COLUMN log_index bigint;

CREATE TRIGGER manifests_need_their_key BEFORE INSERT ON manifests
    FOR EACH ROW WHEN (NEW.key_generation IS NOT NULL)
    EXECUTE FUNCTION sentinel_manifests_need_their_key();
