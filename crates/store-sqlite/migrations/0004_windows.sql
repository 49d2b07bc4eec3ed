-- Windows of one length are one counter, however they are spelt: `1440m` and `24h` are `1d`. What was
-- counted under another spelling is added to the counter of the length, so nothing is granted twice.
INSERT INTO quota_counters
    (tool_id, quota_window, window_start, window_end, tenant_id, used, quota_limit)
SELECT tool_id,
    CASE WHEN minutes % 1440 = 0 THEN (minutes / 1440) || 'd' ELSE (minutes / 60) || 'h' END,
    window_start, window_end, tenant_id, used, quota_limit
FROM (
    SELECT *, CAST(substr(quota_window, 1, length(quota_window) - 1) AS INTEGER)
        * CASE substr(quota_window, -1) WHEN 'm' THEN 1 ELSE 60 END AS minutes
    FROM quota_counters
    WHERE quota_window <> 'month' AND substr(quota_window, -1) IN ('m', 'h')
)
WHERE minutes % CASE substr(quota_window, -1) WHEN 'm' THEN 60 ELSE 1440 END = 0
ON CONFLICT (tool_id, quota_window, window_start) DO UPDATE SET used = used + excluded.used;

DELETE FROM quota_counters
WHERE quota_window <> 'month' AND (
    (substr(quota_window, -1) = 'm'
        AND CAST(substr(quota_window, 1, length(quota_window) - 1) AS INTEGER) % 60 = 0)
    OR (substr(quota_window, -1) = 'h'
        AND CAST(substr(quota_window, 1, length(quota_window) - 1) AS INTEGER) % 24 = 0)
);
