-- Expands only: servers of the version before delete claims, as they did, and nothing else.

-- One row, once there is something to delete: the time by which things may be deleted, which follows a
-- clock that is set ahead only slowly, and which replica deletes just now.
CREATE TABLE IF NOT EXISTS housekeeping (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    believed_at timestamptz NOT NULL,
    holder uuid NOT NULL,
    held_until timestamptz NOT NULL
) WITH (fillfactor = 20);
-- next
-- Beside the commits, since it reads the permits from end to end.
DROP INDEX CONCURRENTLY IF EXISTS permits_redeemed;
-- next
CREATE INDEX CONCURRENTLY permits_redeemed ON permits (redeemed_at);
