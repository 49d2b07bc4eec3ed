-- What is left when this was broken off is an index that is not valid.
DROP INDEX CONCURRENTLY IF EXISTS manifests_digest
-- next
CREATE INDEX CONCURRENTLY manifests_digest ON manifests (payload_digest)
