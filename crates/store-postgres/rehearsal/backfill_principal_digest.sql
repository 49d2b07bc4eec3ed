WITH batch AS MATERIALIZED (
    SELECT id, created_at, sequence FROM policy_logs WHERE sequence > $1 ORDER BY sequence LIMIT 500
), filled AS (
    UPDATE policy_logs AS p SET principal_digest = sha256(convert_to(p.principal, 'UTF8'))
    FROM batch AS b
    WHERE p.id = b.id AND p.created_at = b.created_at AND p.principal_digest IS NULL
)
SELECT CASE WHEN count(*) = 500 THEN max(sequence) END FROM batch
