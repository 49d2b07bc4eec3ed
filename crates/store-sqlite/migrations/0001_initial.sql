-- Identifiers are UUIDs as 16 bytes. Times are microseconds since 1970-01-01T00:00:00Z. Counts that
-- may need all 64 bits are kept as the signed integer with the same bits. `sequence` columns keep
-- the order of insertion; `epoch` columns say when a row of control state changed last.

-- One row. `epoch` and `sequence` are the last ones given out.
CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    pings INTEGER NOT NULL
) STRICT;

INSERT INTO meta (one, epoch, sequence, pings) VALUES (1, 0, 0, 0);

CREATE TABLE tenants (
    sequence INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    slug TEXT NOT NULL UNIQUE,
    display_name TEXT NOT NULL,
    secret BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    epoch INTEGER NOT NULL
) STRICT;

CREATE INDEX tenants_epoch ON tenants (epoch);

CREATE TABLE tools (
    sequence INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    tenant_id BLOB NOT NULL REFERENCES tenants (id),
    name TEXT NOT NULL,
    -- The name with everything folded that a reader may confuse.
    skeleton TEXT NOT NULL,
    url TEXT NOT NULL,
    owner TEXT NOT NULL,
    scopes TEXT NOT NULL,
    extra_metadata TEXT NOT NULL,
    is_active INTEGER NOT NULL GENERATED ALWAYS AS (retired_at IS NULL) VIRTUAL,
    healthcheck TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    retired_at INTEGER,
    health_status TEXT,
    health_checked_at INTEGER,
    health_latency_ms INTEGER,
    health_detail TEXT,
    epoch INTEGER NOT NULL,
    UNIQUE (tenant_id, name),
    UNIQUE (tenant_id, skeleton)
) STRICT;

CREATE INDEX tools_epoch ON tools (epoch);

CREATE TABLE api_keys (
    sequence INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    hash BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    tenant_id BLOB REFERENCES tenants (id),
    agent TEXT,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER,
    epoch INTEGER NOT NULL
) STRICT;

CREATE INDEX api_keys_epoch ON api_keys (epoch);
CREATE INDEX api_keys_tenant ON api_keys (tenant_id);

CREATE TABLE kills (
    sequence INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    scope TEXT NOT NULL,
    tenant_id BLOB REFERENCES tenants (id),
    tool_id BLOB REFERENCES tools (id),
    agent TEXT,
    reason TEXT NOT NULL,
    actor TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- The epoch that the kill began; `epoch` moves on when it is restored.
    killed_epoch INTEGER NOT NULL,
    restored_at INTEGER,
    restored_by TEXT,
    epoch INTEGER NOT NULL
) STRICT;

CREATE INDEX kills_epoch ON kills (epoch);
CREATE INDEX kills_tenant ON kills (tenant_id);
CREATE INDEX kills_in_force ON kills (scope, tenant_id, tool_id, agent) WHERE restored_at IS NULL;

CREATE TABLE quota_counters (
    tool_id BLOB NOT NULL REFERENCES tools (id),
    quota_window TEXT NOT NULL,
    window_start INTEGER NOT NULL,
    window_end INTEGER NOT NULL,
    tenant_id BLOB NOT NULL REFERENCES tenants (id),
    used INTEGER NOT NULL,
    quota_limit INTEGER,
    PRIMARY KEY (tool_id, quota_window, window_start)
) STRICT, WITHOUT ROWID;

-- Finds the windows of today without walking through those of the past.
CREATE INDEX quota_counters_end ON quota_counters (window_end);

-- Every decision. `sequence` is the order of commits, taken from `meta`, without gaps.
CREATE TABLE policy_logs (
    sequence INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    tenant_id BLOB REFERENCES tenants (id),
    tool_id BLOB REFERENCES tools (id),
    tenant_slug TEXT NOT NULL,
    tool_name TEXT NOT NULL,
    decision TEXT NOT NULL CHECK (decision IN ('allow', 'deny')),
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    reasons TEXT,
    quota_limit INTEGER,
    quota_window TEXT,
    quota_remaining INTEGER,
    policy_revision TEXT,
    principal TEXT NOT NULL,
    agent TEXT,
    action TEXT NOT NULL,
    purpose TEXT,
    argument_hash BLOB NOT NULL,
    call_id TEXT,
    event_metadata TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    -- The epoch it was committed under.
    epoch INTEGER NOT NULL
) STRICT;

-- An index on the log would be paid for by every check. Instead, these two say of each thousand or
-- so decisions, whose `bucket` is `sequence / 1024`, between which times they lie and which values
-- occur among them: a batch touches a row for each distinct value, and a listing reads only the
-- buckets that may hold what is asked for, newest first.
CREATE TABLE policy_log_ranges (
    bucket INTEGER PRIMARY KEY,
    earliest INTEGER NOT NULL,
    latest INTEGER NOT NULL
) STRICT;

-- `kind` is tenant (its id), tool (its name), agent or decision (denies only).
CREATE TABLE policy_log_values (
    kind TEXT NOT NULL,
    value ANY NOT NULL,
    bucket INTEGER NOT NULL,
    PRIMARY KEY (kind, value, bucket)
) STRICT, WITHOUT ROWID;

CREATE TABLE claims (
    principal TEXT NOT NULL,
    tool_id BLOB NOT NULL,
    call_id TEXT NOT NULL,
    decision_id BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (principal, tool_id, call_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX claims_created ON claims (created_at);

CREATE TABLE permits (
    decision_id BLOB PRIMARY KEY,
    redeemed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE manifests (
    sequence INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    tenant_id BLOB NOT NULL REFERENCES tenants (id),
    tool_name TEXT NOT NULL,
    action TEXT NOT NULL,
    purpose TEXT,
    decision_id BLOB,
    payload_digest BLOB NOT NULL,
    bundle TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX manifests_tenant ON manifests (tenant_id);
CREATE INDEX manifests_tool ON manifests (tool_name, tenant_id);
CREATE INDEX manifests_decision ON manifests (decision_id) WHERE decision_id IS NOT NULL;

CREATE TABLE secrets (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
