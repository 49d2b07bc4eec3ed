-- Every change of what policy is in force. `value` is the data that was put, as JSON.
CREATE TABLE policy_changes (
    sequence INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    actor TEXT NOT NULL,
    author TEXT,
    revision TEXT,
    path TEXT,
    data_version INTEGER,
    rollout_id BLOB,
    reason TEXT,
    detail TEXT,
    epoch INTEGER,
    created_at INTEGER NOT NULL,
    value TEXT
) STRICT;

CREATE INDEX policy_changes_actor ON policy_changes (actor, sequence);
CREATE INDEX policy_changes_data ON policy_changes (sequence) WHERE data_version IS NOT NULL;

CREATE TRIGGER policy_changes_stay BEFORE UPDATE ON policy_changes
BEGIN SELECT RAISE(ABORT, 'changes of policy are never edited'); END;
CREATE TRIGGER policy_changes_are_kept BEFORE DELETE ON policy_changes
BEGIN SELECT RAISE(ABORT, 'changes of policy are never deleted'); END;

-- Policy data as it is now, none of the paths within another. Without a value it was removed:
-- replicas that knew it must hear of that.
CREATE TABLE policy_data (
    path TEXT PRIMARY KEY,
    value TEXT,
    version INTEGER NOT NULL,
    epoch INTEGER NOT NULL
) STRICT;

CREATE INDEX policy_data_epoch ON policy_data (epoch);
CREATE INDEX policy_data_version ON policy_data (version);

-- Candidates. `tenants` is a JSON array of slugs, `files` a JSON object from path to text.
CREATE TABLE policy_rollouts (
    sequence INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    revision TEXT NOT NULL,
    digest TEXT NOT NULL,
    tenants TEXT NOT NULL,
    percent INTEGER NOT NULL,
    state TEXT NOT NULL,
    replaces TEXT,
    actor TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    files TEXT NOT NULL
) STRICT;

CREATE INDEX policy_rollouts_epoch ON policy_rollouts (epoch);
CREATE UNIQUE INDEX policy_rollouts_state ON policy_rollouts (state) WHERE state <> 'dropped';
