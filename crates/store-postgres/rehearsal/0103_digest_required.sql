-- Holds for new rows at once; the old ones are looked at by the next migration.
ALTER TABLE policy_logs ADD CONSTRAINT policy_logs_digest
    CHECK (principal_digest IS NOT NULL) NOT VALID;
