-- The constraint spares this the scan.
ALTER TABLE policy_logs ALTER COLUMN principal_digest SET NOT NULL;
ALTER TABLE policy_logs DROP CONSTRAINT policy_logs_digest;
ALTER TABLE meta DROP COLUMN pings;
