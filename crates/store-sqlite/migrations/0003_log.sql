-- The shards of the transparency log, each of which continues the one before.
CREATE TABLE log_shards (
    ordinal INTEGER PRIMARY KEY,
    origin TEXT NOT NULL UNIQUE,
    verifier_key TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    sealed_at INTEGER
) STRICT;

CREATE UNIQUE INDEX log_shards_open ON log_shards ((sealed_at IS NULL)) WHERE sealed_at IS NULL;

-- Where the next leaf goes.
CREATE TABLE log_counters (
    shard INTEGER PRIMARY KEY REFERENCES log_shards (ordinal),
    next_index INTEGER NOT NULL,
    is_open INTEGER NOT NULL
) STRICT;

CREATE TABLE log_entries (
    shard INTEGER NOT NULL,
    log_index INTEGER NOT NULL,
    leaf BLOB NOT NULL,
    PRIMARY KEY (shard, log_index)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER log_entries_stay BEFORE UPDATE ON log_entries
BEGIN SELECT RAISE(ABORT, 'leaves of the log are never edited'); END;
CREATE TRIGGER log_entries_are_kept BEFORE DELETE ON log_entries
BEGIN SELECT RAISE(ABORT, 'leaves of the log are never deleted'); END;
-- `REPLACE` deletes without a word.
CREATE TRIGGER log_entries_are_new BEFORE INSERT ON log_entries
WHEN EXISTS (SELECT 1 FROM log_entries WHERE shard = NEW.shard AND log_index = NEW.log_index)
BEGIN SELECT RAISE(ABORT, 'leaves of the log are never replaced'); END;

CREATE TABLE log_tiles (
    shard INTEGER NOT NULL,
    level INTEGER NOT NULL,
    tile_index INTEGER NOT NULL,
    hashes BLOB NOT NULL,
    PRIMARY KEY (shard, level, tile_index)
) STRICT;

-- How far a shard is sequenced.
CREATE TABLE log_heads (
    shard INTEGER PRIMARY KEY REFERENCES log_shards (ordinal),
    size INTEGER NOT NULL,
    frontier BLOB NOT NULL,
    checkpoint TEXT,
    witnessed_size INTEGER,
    witnessed TEXT
) STRICT;

-- Who sequences. The fence grows with each change of leader. `held_until` is in microseconds.
CREATE TABLE log_leader (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    holder BLOB,
    fence INTEGER NOT NULL,
    held_until INTEGER NOT NULL
) STRICT;

INSERT INTO log_leader (only_row, holder, fence, held_until) VALUES (1, NULL, 0, 0);

-- How far each destination of the log has got.
CREATE TABLE log_cursors (
    destination TEXT NOT NULL,
    shard INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (destination, shard)
) STRICT, WITHOUT ROWID;

-- What other services answered about a leaf.
CREATE TABLE log_receipts (
    shard INTEGER NOT NULL,
    log_index INTEGER NOT NULL,
    kind TEXT NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (shard, log_index, kind)
) STRICT, WITHOUT ROWID;

-- Signed statements about keys, logs and payloads.
CREATE TABLE log_statements (
    sequence INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    tenant_id BLOB,
    subject TEXT NOT NULL,
    bundle TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    log_shard INTEGER NOT NULL,
    log_index INTEGER NOT NULL
) STRICT;

CREATE INDEX log_statements_kind ON log_statements (kind, sequence);

-- Keys of tenants, wrapped by the key of the deployment; none once destroyed.
CREATE TABLE payload_keys (
    tenant_id BLOB NOT NULL,
    generation INTEGER NOT NULL,
    wrapped BLOB,
    created_at INTEGER NOT NULL,
    destroyed_at INTEGER,
    PRIMARY KEY (tenant_id, generation)
) STRICT, WITHOUT ROWID;

CREATE TABLE payloads (
    manifest_id BLOB PRIMARY KEY,
    tenant_id BLOB NOT NULL,
    generation INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT;

CREATE INDEX payloads_key ON payloads (tenant_id, generation);

-- `key_generation` says which key of the tenant the salt was made with; none is the tenant's secret.
ALTER TABLE manifests ADD COLUMN phase TEXT NOT NULL DEFAULT 'outcome';
ALTER TABLE manifests ADD COLUMN key_generation INTEGER;
ALTER TABLE manifests ADD COLUMN log_shard INTEGER;
ALTER TABLE manifests ADD COLUMN log_index INTEGER;

-- Nothing is stored under a key that is destroyed, whoever writes.
CREATE TRIGGER manifests_need_their_key BEFORE INSERT ON manifests
WHEN NEW.key_generation IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM payload_keys WHERE tenant_id = NEW.tenant_id
        AND generation = NEW.key_generation AND destroyed_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'payload key destroyed'); END;
CREATE TRIGGER payloads_need_their_key BEFORE INSERT ON payloads
WHEN NOT EXISTS (
    SELECT 1 FROM payload_keys WHERE tenant_id = NEW.tenant_id
        AND generation = NEW.generation AND destroyed_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'payload key destroyed'); END;

-- A destroyed key stays so.
CREATE TRIGGER payload_keys_stay BEFORE UPDATE ON payload_keys WHEN OLD.destroyed_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'destroyed payload keys are never edited'); END;
CREATE TRIGGER payload_keys_are_kept BEFORE DELETE ON payload_keys
BEGIN SELECT RAISE(ABORT, 'payload keys are destroyed, never deleted'); END;

-- What versions without a log stored. In the index until it has a place.
CREATE INDEX manifests_unlogged ON manifests (sequence) WHERE log_index IS NULL;
