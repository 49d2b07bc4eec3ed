-- Expands only. Servers of the version before know nothing of quarantines, so no upstream may be
-- added before all of them are replaced.

-- MCP servers behind the gateway. `transport` is JSON, in which secrets are referred to and never
-- written.
CREATE TABLE upstreams (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL UNIQUE,
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    name text COLLATE "C" NOT NULL,
    transport jsonb NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    removed_at timestamptz,
    epoch bigint NOT NULL
);

CREATE INDEX upstreams_epoch ON upstreams (epoch);
CREATE UNIQUE INDEX upstreams_name ON upstreams (tenant_id, name) WHERE removed_at IS NULL;

-- What a tool of an upstream is pinned to: the digest of the approved definition, and why the tool
-- cannot be called, with the digest of what is offered instead. No index by upstream: it would be
-- built while every commit waits, and removing an upstream is rare.
ALTER TABLE tools
    ADD COLUMN upstream_id uuid,
    ADD COLUMN pin_approved bytea,
    ADD COLUMN pin_cause text,
    ADD COLUMN pin_offered bytea,
    ADD COLUMN pin_since timestamptz;

-- The definitions that the two digests of a pin are of: text, since JSONB knows no NUL.
CREATE TABLE tool_definitions (
    tool_id uuid NOT NULL REFERENCES tools (id),
    digest bytea NOT NULL,
    definition text NOT NULL,
    PRIMARY KEY (tool_id, digest)
);
