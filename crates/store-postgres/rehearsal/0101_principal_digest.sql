-- Nullable: servers of the version before do not write it.
ALTER TABLE policy_logs ADD COLUMN principal_digest bytea;

-- Takes the place of `meta.pings`. One row.
CREATE TABLE pings (
    one integer PRIMARY KEY CHECK (one = 1),
    count bigint NOT NULL
) WITH (fillfactor = 10);

INSERT INTO pings (one, count) VALUES (1, 0);

-- The call of the next version, beside that of the present one, which goes on being used.
DO $$ BEGIN
    EXECUTE replace(replace(replace(pg_get_functiondef('sentinel_commit_decisions'::regproc),
        'sentinel_commit_decisions(', 'next_commit_decisions('),
        'INSERT INTO policy_logs (', 'INSERT INTO policy_logs (principal_digest, '),
        'SELECT first_sequence +',
        'SELECT sha256(convert_to(r.principal, ''UTF8'')), first_sequence +');
END $$;
