-- Kills that begin and end by the clock, and kills of principals, scopes and tags.
ALTER TABLE kills
    -- The principal, the scope or the tag that the kill names.
    ADD COLUMN label text COLLATE "C",
    -- Whether who killed was bound to no tenant. Null in rows of earlier versions, where the key of
    -- the actor says it.
    ADD COLUMN by_platform boolean,
    ADD COLUMN starts_at timestamptz,
    -- When it was written down that the time of `starts_at` had come.
    ADD COLUMN begun_at timestamptz,
    ADD COLUMN expires_at timestamptz;
