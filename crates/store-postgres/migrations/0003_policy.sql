-- Expands only: servers of the version before go on, but know nothing of policy data and rollouts,
-- so nothing may be put or promoted before all of them are replaced.

-- Every change of what policy is in force. `value` is the data that was put: text, since JSONB knows
-- no NUL and would not keep the order of names.
CREATE TABLE policy_changes (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL UNIQUE,
    kind text NOT NULL,
    actor text COLLATE "C" NOT NULL,
    author text,
    revision text,
    path text COLLATE "C",
    data_version bigint,
    rollout_id uuid,
    reason text,
    detail text,
    epoch bigint,
    created_at timestamptz NOT NULL,
    value text
);

CREATE INDEX policy_changes_actor ON policy_changes (actor, sequence);
CREATE INDEX policy_changes_data ON policy_changes (sequence) WHERE data_version IS NOT NULL;

CREATE FUNCTION sentinel_policy_changes_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'changes of policy are never edited or deleted';
END $$;

CREATE TRIGGER policy_changes_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON policy_changes
    FOR EACH STATEMENT EXECUTE FUNCTION sentinel_policy_changes_stay();

-- Policy data as it is now, none of the paths within another. Without a value it was removed:
-- replicas that knew it must hear of that.
CREATE TABLE policy_data (
    path text COLLATE "C" PRIMARY KEY,
    value text,
    version bigint NOT NULL,
    epoch bigint NOT NULL
);

CREATE INDEX policy_data_epoch ON policy_data (epoch);
CREATE INDEX policy_data_version ON policy_data (version);

-- Candidates. `tenants` is an array of slugs, `files` a JSON object from path to text.
CREATE TABLE policy_rollouts (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL UNIQUE,
    revision text NOT NULL,
    digest text NOT NULL,
    tenants jsonb NOT NULL,
    percent smallint NOT NULL,
    state text NOT NULL,
    replaces text,
    actor text NOT NULL,
    created_at timestamptz NOT NULL,
    epoch bigint NOT NULL,
    files text NOT NULL
);

CREATE INDEX policy_rollouts_epoch ON policy_rollouts (epoch);
CREATE UNIQUE INDEX policy_rollouts_state ON policy_rollouts (state) WHERE state <> 'dropped';
