-- Beside the commits, since it reads the manifests from end to end. What versions without a log
-- stored is in the first index until it has a place.
DROP INDEX CONCURRENTLY IF EXISTS manifests_unlogged;
-- next
CREATE INDEX CONCURRENTLY manifests_unlogged ON manifests (sequence) WHERE log_index IS NULL;
