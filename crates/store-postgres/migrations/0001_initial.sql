-- Times have microseconds. Counts that may need all 64 bits are kept as the signed integer with the
-- same bits. `sequence` columns keep the order of insertion; `epoch` columns say when a row of
-- control state changed last. Texts that are compared are compared byte by byte.

-- One row. `epoch` is the last one given out: changed only under the epoch lock taken exclusively.
CREATE TABLE meta (
    one integer PRIMARY KEY CHECK (one = 1),
    epoch bigint NOT NULL,
    pings bigint NOT NULL
) WITH (fillfactor = 10);

INSERT INTO meta (one, epoch, pings) VALUES (1, 0, 0);

CREATE TABLE tenants (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL UNIQUE,
    slug text COLLATE "C" NOT NULL UNIQUE,
    display_name text NOT NULL,
    secret bytea NOT NULL,
    created_at timestamptz NOT NULL,
    epoch bigint NOT NULL
);

CREATE INDEX tenants_epoch ON tenants (epoch);

CREATE TABLE tools (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL UNIQUE,
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    name text COLLATE "C" NOT NULL,
    -- The name with everything folded that a reader may confuse.
    skeleton text COLLATE "C" NOT NULL,
    url text NOT NULL,
    owner text NOT NULL,
    scopes jsonb NOT NULL,
    extra_metadata jsonb NOT NULL,
    is_active boolean NOT NULL GENERATED ALWAYS AS (retired_at IS NULL) STORED,
    healthcheck text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    retired_at timestamptz,
    health_status text,
    health_checked_at timestamptz,
    health_latency_ms bigint,
    health_detail text,
    epoch bigint NOT NULL,
    UNIQUE (tenant_id, name),
    UNIQUE (tenant_id, skeleton)
);

CREATE INDEX tools_epoch ON tools (epoch);
CREATE INDEX tools_tenant ON tools (tenant_id, sequence);

CREATE TABLE api_keys (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL UNIQUE,
    hash bytea NOT NULL UNIQUE,
    name text NOT NULL,
    role text NOT NULL,
    tenant_id uuid REFERENCES tenants (id),
    agent text,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz,
    epoch bigint NOT NULL
);

CREATE INDEX api_keys_epoch ON api_keys (epoch);
CREATE INDEX api_keys_tenant ON api_keys (tenant_id, sequence);

CREATE TABLE kills (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL UNIQUE,
    scope text NOT NULL,
    tenant_id uuid REFERENCES tenants (id),
    tool_id uuid REFERENCES tools (id),
    agent text COLLATE "C",
    reason text NOT NULL,
    actor text NOT NULL,
    created_at timestamptz NOT NULL,
    -- The epoch that the kill began; `epoch` moves on when it is restored.
    killed_epoch bigint NOT NULL,
    restored_at timestamptz,
    restored_by text,
    epoch bigint NOT NULL
);

CREATE INDEX kills_epoch ON kills (epoch);
CREATE INDEX kills_tenant ON kills (tenant_id, sequence);
CREATE INDEX kills_in_force ON kills (scope, tenant_id, tool_id, agent) WHERE restored_at IS NULL;

-- No foreign keys here and in the tables below: each would be looked up for every row of every
-- commit, and tenants and tools are never deleted. `last_granted` is what the last reservation got,
-- so that the statement that makes it can answer it. Room is left in each page for the new
-- version of a row, which then needs no new index entry.
CREATE TABLE quota_counters (
    tool_id uuid NOT NULL,
    quota_window text COLLATE "C" NOT NULL,
    window_start timestamptz NOT NULL,
    window_end timestamptz NOT NULL,
    tenant_id uuid NOT NULL,
    used bigint NOT NULL CHECK (used >= 0),
    last_granted bigint NOT NULL CHECK (last_granted >= 0),
    quota_limit bigint,
    PRIMARY KEY (tool_id, quota_window, window_start)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);

-- Finds the windows of today without walking through those of the past.
CREATE INDEX quota_counters_end ON quota_counters (window_end);

-- Each batch of decisions takes one value, and with it the numbers from there up to the next. A
-- batch that is smaller leaves the rest unused. 2^63 / 1024 batches will not run out.
CREATE SEQUENCE policy_log_blocks AS bigint START 1 INCREMENT 1024 NO CYCLE;

-- Every decision. `sequence` numbers are given out in the order in which commits count their
-- quotas; across replicas a higher one may become visible a little before a lower one.
CREATE TABLE policy_logs (
    sequence bigint NOT NULL,
    id uuid NOT NULL,
    tenant_id uuid,
    tool_id uuid,
    tenant_slug text NOT NULL,
    tool_name text COLLATE "C" NOT NULL,
    decision text NOT NULL CHECK (decision IN ('allow', 'deny')),
    code text NOT NULL,
    reason text NOT NULL,
    reasons jsonb,
    quota_limit bigint,
    quota_window text,
    quota_remaining bigint,
    policy_revision text,
    principal text NOT NULL,
    agent text COLLATE "C",
    action text NOT NULL,
    purpose text,
    argument_hash bytea NOT NULL,
    call_id text,
    event_metadata jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    duration_us bigint NOT NULL,
    -- The epoch it was committed under.
    epoch bigint NOT NULL
) PARTITION BY RANGE (created_at);

-- Catches what no month was made for: an odd clock never loses a decision.
CREATE TABLE policy_logs_default PARTITION OF policy_logs DEFAULT;

-- Every index is paid for by every check, so there are only these. They grow at their right edges:
-- identifiers begin with the time, and every other index ends with the sequence, whose last pages
-- are in memory. What they are for:
-- a decision by its id (which is looked for in every month; there are few);
CREATE UNIQUE INDEX policy_logs_id ON policy_logs (id, created_at);
-- the newest decisions, and every filter that lets through a good part of them (allows, codes);
CREATE INDEX policy_logs_sequence ON policy_logs (sequence);
-- those of one tenant or one tool, each of which may be one in a million;
CREATE INDEX policy_logs_tenant ON policy_logs (tenant_id, sequence);
CREATE INDEX policy_logs_tool ON policy_logs (tool_name, sequence);
-- those of one agent, and denies by their code: partial, since most checks are neither;
CREATE INDEX policy_logs_agent ON policy_logs (agent, sequence) WHERE agent IS NOT NULL;
CREATE INDEX policy_logs_denied ON policy_logs (sequence) WHERE decision = 'deny';
-- a span of time: an entry for each 64 pages, which costs next to nothing.
CREATE INDEX policy_logs_created ON policy_logs USING brin (created_at)
    WITH (pages_per_range = 64, autosummarize = on);

CREATE TABLE claims (
    principal text COLLATE "C" NOT NULL,
    tool_id uuid NOT NULL,
    call_id text COLLATE "C" NOT NULL,
    decision_id uuid NOT NULL,
    -- That of the decision: both together name it within one partition.
    created_at timestamptz NOT NULL,
    PRIMARY KEY (principal, tool_id, call_id)
);

CREATE INDEX claims_created ON claims (created_at);

CREATE TABLE permits (
    decision_id uuid PRIMARY KEY,
    redeemed_at timestamptz NOT NULL
);

CREATE TABLE manifests (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL UNIQUE,
    tenant_id uuid NOT NULL,
    tool_name text COLLATE "C" NOT NULL,
    action text NOT NULL,
    purpose text,
    decision_id uuid,
    payload_digest bytea NOT NULL,
    -- Text, not JSONB: signatures cover its bytes.
    bundle text NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE INDEX manifests_tenant ON manifests (tenant_id, sequence);
CREATE INDEX manifests_tool ON manifests (tool_name, sequence);
CREATE INDEX manifests_decision ON manifests (decision_id) WHERE decision_id IS NOT NULL;

CREATE TABLE secrets (
    name text COLLATE "C" PRIMARY KEY,
    value bytea NOT NULL
);
