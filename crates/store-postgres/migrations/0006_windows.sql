-- Windows of one length are one counter, however they are spelt: `1440m` and `24h` are `1d`. Servers
-- of the version before write the spelling of the policy, so the function that counts translates it:
-- while servers of both versions run, none of them grants a quota that the other has granted.
CREATE FUNCTION sentinel_window(stated text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN length.minutes % 1440 = 0 THEN length.minutes / 1440 || 'd'
        WHEN length.minutes % 60 = 0 THEN length.minutes / 60 || 'h'
        WHEN length.minutes > 0 THEN length.minutes || 'm'
        -- The month has no fixed length.
        ELSE stated END
    FROM (SELECT CASE WHEN stated ~ '^[1-9][0-9]{0,9}[mhd]$' THEN left(stated, -1)::bigint
        * CASE right(stated, 1) WHEN 'm' THEN 1 WHEN 'h' THEN 60 ELSE 1440 END END AS minutes)
        AS length
$$;

-- What was counted under another spelling is added to the counter of the length, so nothing is granted
-- twice. Only windows under way matter, and with them those that a clock that is behind is still in.
WITH respelt AS (
    DELETE FROM quota_counters
    WHERE window_end > now() - interval '1 day' AND quota_window <> sentinel_window(quota_window)
    RETURNING tool_id, sentinel_window(quota_window) AS quota_window, window_start, window_end,
        tenant_id, used, quota_limit
)
INSERT INTO quota_counters AS q
    (tool_id, quota_window, window_start, window_end, tenant_id, used, last_granted, quota_limit)
SELECT tool_id, quota_window, window_start, window_end, tenant_id,
    least(sum(used), 9223372036854775807)::bigint, 0, min(quota_limit)
FROM respelt GROUP BY tool_id, quota_window, window_start, window_end, tenant_id
ON CONFLICT (tool_id, quota_window, window_start) DO UPDATE SET
    used = least(q.used::numeric + excluded.used, 9223372036854775807)::bigint;

-- As in 0002, with the windows translated. A server of the version before may ask for two counters
-- that are one; they are counted one after the other then.
CREATE OR REPLACE FUNCTION sentinel_commit_decisions(
    at_epoch bigint,
    counter_tool uuid[], counter_window text[], counter_start timestamptz[],
    counter_end timestamptz[], counter_tenant uuid[], counter_wanted bigint[],
    counter_limit bigint[],
    row_place integer[], row_turn bigint[], row_exceeded text[],
    row_id uuid[], row_tenant uuid[], row_tool uuid[], row_tenant_slug text[],
    row_tool_name text[], row_allow boolean[], row_code text[], row_reason text[],
    row_reasons text[], row_quota_limit bigint[], row_quota_window text[],
    row_quota_remaining bigint[], row_policy_revision text[], row_principal text[],
    row_agent text[], row_action text[], row_purpose text[], row_argument_hash bytea[],
    row_call_id text[], row_event_metadata text[], row_created_at timestamptz[],
    row_duration_us bigint[],
    OUT store_epoch bigint, OUT first_sequence bigint, OUT used_before bigint[],
    OUT granted bigint[]
) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    windows text[];
    reserved record;
    before_it bigint;
    granted_it bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'decisions are committed at the isolation level read committed only';
    END IF;
    PERFORM set_config('synchronous_commit', 'off', true);
    -- The epoch lock, "sntl" in ASCII.
    PERFORM pg_advisory_xact_lock_shared(1936618604);
    SELECT m.epoch INTO store_epoch FROM meta AS m;
    IF store_epoch IS DISTINCT FROM at_epoch THEN
        RETURN;
    END IF;

    -- Counts what fits, locking the counters in the order of their keys. What a row is updated to
    -- is computed from its newest version, whoever wrote that. A limit beyond the largest signed
    -- number is negative here, and that number takes its place, so no counter ever exceeds it.
    -- `excluded.used` is what is granted of an unused counter, hence no more than is wanted.
    -- A batch has few windows, however many counters it has; those of this version need no translation.
    IF EXISTS (SELECT FROM (SELECT DISTINCT w.stated FROM UNNEST(counter_window) AS w (stated)) AS d
        WHERE d.stated <> sentinel_window(d.stated))
    THEN
        windows := ARRAY(SELECT sentinel_window(r.stated)
            FROM UNNEST(counter_window) WITH ORDINALITY AS r (stated, index) ORDER BY r.index);
        used_before := array_fill(0::bigint, ARRAY[cardinality(counter_tool)]);
        granted := used_before;
        FOR reserved IN
            SELECT r.* FROM UNNEST(counter_tool, windows, counter_start, counter_end,
                    counter_tenant, counter_wanted, counter_limit) WITH ORDINALITY
                AS r (tool_id, quota_window, window_start, window_end, tenant_id, wanted,
                quota_limit, index)
            ORDER BY r.index
        LOOP
            INSERT INTO quota_counters AS q (tool_id, quota_window, window_start, window_end,
                tenant_id, used, last_granted, quota_limit)
            SELECT reserved.tool_id, reserved.quota_window, reserved.window_start,
                reserved.window_end, reserved.tenant_id, g.some, g.some, reserved.quota_limit
            FROM (SELECT least(reserved.wanted, CASE WHEN reserved.quota_limit >= 0
                THEN reserved.quota_limit ELSE 9223372036854775807 END) AS some) AS g
            ON CONFLICT (tool_id, quota_window, window_start) DO UPDATE SET
                used = q.used + least(excluded.used, greatest(0, CASE
                    WHEN excluded.quota_limit >= 0 THEN excluded.quota_limit
                    ELSE 9223372036854775807 END - q.used)),
                last_granted = least(excluded.used, greatest(0, CASE
                    WHEN excluded.quota_limit >= 0 THEN excluded.quota_limit
                    ELSE 9223372036854775807 END - q.used)),
                quota_limit = excluded.quota_limit
            RETURNING q.used - q.last_granted, q.last_granted INTO STRICT before_it, granted_it;
            used_before[reserved.index] := before_it;
            granted[reserved.index] := granted_it;
        END LOOP;
    ELSIF cardinality(counter_tool) > 0 THEN
        WITH counted AS (
            INSERT INTO quota_counters AS q (tool_id, quota_window, window_start, window_end,
                tenant_id, used, last_granted, quota_limit)
            SELECT r.tool_id, r.quota_window, r.window_start, r.window_end, r.tenant_id, g.some,
                g.some, r.quota_limit
            FROM UNNEST(counter_tool, counter_window, counter_start, counter_end, counter_tenant,
                    counter_wanted, counter_limit) WITH ORDINALITY
                AS r (tool_id, quota_window, window_start, window_end, tenant_id, wanted,
                quota_limit, index),
            LATERAL (SELECT least(r.wanted, CASE WHEN r.quota_limit >= 0 THEN r.quota_limit
                ELSE 9223372036854775807 END) AS some) AS g
            ORDER BY r.index
            ON CONFLICT (tool_id, quota_window, window_start) DO UPDATE SET
                used = q.used + least(excluded.used, greatest(0, CASE
                    WHEN excluded.quota_limit >= 0 THEN excluded.quota_limit
                    ELSE 9223372036854775807 END - q.used)),
                last_granted = least(excluded.used, greatest(0, CASE
                    WHEN excluded.quota_limit >= 0 THEN excluded.quota_limit
                    ELSE 9223372036854775807 END - q.used)),
                quota_limit = excluded.quota_limit
            RETURNING q.tool_id, q.quota_window, q.window_start, q.used - q.last_granted AS before,
                q.last_granted
        )
        SELECT array_agg(c.before ORDER BY r.index), array_agg(c.last_granted ORDER BY r.index)
        INTO used_before, granted
        FROM UNNEST(counter_tool, counter_window, counter_start) WITH ORDINALITY
            AS r (tool_id, quota_window, window_start, index)
        JOIN counted AS c USING (tool_id, quota_window, window_start);
        IF cardinality(granted) IS DISTINCT FROM cardinality(counter_tool) THEN
            RAISE EXCEPTION 'not every quota was counted';
        END IF;
    END IF;

    -- The first of those that compete for a counter get what was granted, the others are denied.
    first_sequence := nextval('policy_log_blocks');
    INSERT INTO policy_logs (sequence, epoch, id, tenant_id, tool_id, tenant_slug, tool_name,
        decision, code, reason, reasons, quota_limit, quota_window, quota_remaining,
        policy_revision, principal, agent, action, purpose, argument_hash, call_id,
        event_metadata, created_at, duration_us)
    SELECT first_sequence + r.index - 1, at_epoch, r.id, r.tenant_id, r.tool_id, r.tenant_slug,
        r.tool_name, CASE WHEN r.allow AND NOT e.exceeded THEN 'allow' ELSE 'deny' END,
        CASE WHEN e.exceeded THEN 'quota_exceeded' ELSE r.code END,
        CASE WHEN e.exceeded THEN r.exceeded_reason ELSE r.reason END,
        r.reasons::jsonb, r.quota_limit, r.quota_window,
        CASE WHEN e.exceeded THEN 0
            WHEN r.place = 0 THEN r.quota_remaining
            WHEN r.quota_limit >= 0 THEN greatest(0, r.quota_limit - e.used)
            -- What lies below the smallest signed number has the bits of a positive one.
            WHEN r.quota_limit::numeric - e.used < -9223372036854775808
                THEN (r.quota_limit::numeric - e.used + 18446744073709551616)::bigint
            ELSE r.quota_limit - e.used END,
        r.policy_revision, r.principal, r.agent, r.action, r.purpose, r.argument_hash, r.call_id,
        r.event_metadata::jsonb, r.created_at, r.duration_us
    FROM UNNEST(row_place, row_turn, row_exceeded, row_id, row_tenant, row_tool, row_tenant_slug,
            row_tool_name, row_allow, row_code, row_reason, row_reasons, row_quota_limit,
            row_quota_window, row_quota_remaining, row_policy_revision, row_principal, row_agent,
            row_action, row_purpose, row_argument_hash, row_call_id, row_event_metadata,
            row_created_at, row_duration_us) WITH ORDINALITY
        AS r (place, turn, exceeded_reason, id, tenant_id, tool_id, tenant_slug, tool_name, allow,
        code, reason, reasons, quota_limit, quota_window, quota_remaining, policy_revision,
        principal, agent, action, purpose, argument_hash, call_id, event_metadata, created_at,
        duration_us, index),
    -- Whatever is not known to fit is exceeded.
    LATERAL (SELECT r.place > 0 AND coalesce(r.turn > granted[r.place], true) AS exceeded,
        used_before[r.place] + r.turn AS used) AS e;
END $$;
