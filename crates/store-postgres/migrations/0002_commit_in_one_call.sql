-- Commits a batch of decisions in one round trip. Being one statement of the client, it needs no
-- transaction of its own: the locks that it takes are held while the server works, and not while
-- messages travel, so a counter that all replicas use is soon free again.
--
-- The commit does not wait for the disk either: whoever calls this must make it durable, by a commit
-- that does wait, before anything is answered.
--
-- Each statement of a volatile function has a snapshot of its own at this isolation level, so the
-- epoch that is read after the lock was waited for is the one that holds until the commit.
--
-- Elements of arrays that belong together have the same index. `row_place` is the index of the
-- counter that a decision takes from (0: none), `row_turn` says how many of the batch take from it
-- up to and including this one. Numbers of 64 bits without a sign are kept with the same bits.
--
-- When `at_epoch` is not the epoch of the store nothing is written, and the epoch is answered.
CREATE FUNCTION sentinel_commit_decisions(
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
    IF cardinality(counter_tool) > 0 THEN
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
