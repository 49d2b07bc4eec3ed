-- MCP servers behind the gateway. `transport` is JSON, in which secrets are referred to and never
-- written.
CREATE TABLE upstreams (
    sequence INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    tenant_id BLOB NOT NULL REFERENCES tenants (id),
    name TEXT NOT NULL,
    transport TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    removed_at INTEGER,
    epoch INTEGER NOT NULL
) STRICT;

CREATE INDEX upstreams_epoch ON upstreams (epoch);
CREATE UNIQUE INDEX upstreams_name ON upstreams (tenant_id, name) WHERE removed_at IS NULL;

-- What a tool of an upstream is pinned to: the digest of the approved definition, and why the tool
-- cannot be called, with the digest of what is offered instead.
ALTER TABLE tools ADD COLUMN upstream_id BLOB REFERENCES upstreams (id);
ALTER TABLE tools ADD COLUMN pin_approved BLOB;
ALTER TABLE tools ADD COLUMN pin_cause TEXT;
ALTER TABLE tools ADD COLUMN pin_offered BLOB;
ALTER TABLE tools ADD COLUMN pin_since INTEGER;

CREATE INDEX tools_upstream ON tools (upstream_id) WHERE upstream_id IS NOT NULL;

-- The definitions that the two digests of a pin are of.
CREATE TABLE tool_definitions (
    tool_id BLOB NOT NULL REFERENCES tools (id),
    digest BLOB NOT NULL,
    definition TEXT NOT NULL,
    PRIMARY KEY (tool_id, digest)
) STRICT;
