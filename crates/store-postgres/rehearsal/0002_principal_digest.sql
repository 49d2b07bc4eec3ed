-- Nullable: servers of the version before do not write it.
ALTER TABLE policy_logs ADD COLUMN principal_digest bytea;

-- Takes the place of `meta.pings`. One row.
CREATE TABLE pings (
    one integer PRIMARY KEY CHECK (one = 1),
    count bigint NOT NULL
) WITH (fillfactor = 10);

INSERT INTO pings (one, count) VALUES (1, 0);
