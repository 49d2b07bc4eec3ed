-- Kills that begin and end by the clock, and kills of principals, scopes and tags.

-- The principal, the scope or the tag that the kill names.
ALTER TABLE kills ADD COLUMN label TEXT;
-- Whether who killed was bound to no tenant. Null in rows of earlier versions, where the key of the
-- actor says it.
ALTER TABLE kills ADD COLUMN by_platform INTEGER;
ALTER TABLE kills ADD COLUMN starts_at INTEGER;
-- When it was written down that the time of `starts_at` had come.
ALTER TABLE kills ADD COLUMN begun_at INTEGER;
ALTER TABLE kills ADD COLUMN expires_at INTEGER;
