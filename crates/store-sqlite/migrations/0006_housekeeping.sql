-- One row, once there is something to delete: the time by which things may be deleted, which follows a
-- clock that is set ahead only slowly.
CREATE TABLE housekeeping (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    believed_at INTEGER NOT NULL
) STRICT;

CREATE INDEX permits_redeemed ON permits (redeemed_at);
