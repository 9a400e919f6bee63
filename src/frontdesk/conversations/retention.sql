-- What is kept how long. Which tenants have something that is over is asked across tenants and gives ids alone; it is
-- removed in each tenant's own scope, in portions.

-- Days that a tenant's settings say for one kind; a tenant whose setting is no number has the default.
CREATE OR REPLACE FUNCTION retention_days(settings jsonb, kind text, preset float) RETURNS float
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN jsonb_typeof(settings #> ARRAY['retention', kind]) = 'number'
                THEN greatest(0, least(36500, (settings #>> ARRAY['retention', kind])::numeric))::float
                ELSE preset END
$$;

-- The smallest id (UUID version 7) of anything made at `moment` or later.
CREATE OR REPLACE FUNCTION first_id_of(moment timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- Ended conversations that nothing was said in for too long, at most `each` of a tenant.
CREATE OR REPLACE FUNCTION conversations_over(preset_days float, each int, most int)
RETURNS TABLE (tenant_id uuid, conversation_id uuid, days float)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT k.id, o.id, k.days
      FROM (SELECT b.id, retention_days(b.settings, 'conversations_days', preset_days) AS days FROM tenants AS b) AS k
     CROSS JOIN LATERAL (
           SELECT c.id
             FROM conversations AS c
            WHERE c.tenant_id = k.id
              -- Implied by the next, and what the index is by.
              AND c.created_at < now() - make_interval(secs => k.days * 86400)
              AND c.last_activity < now() - make_interval(secs => k.days * 86400)
              AND c.state IN ('expired', 'cleared')
            ORDER BY c.created_at
            LIMIT each) AS o
     LIMIT most
$$;

-- Everything of a conversation but what it cost; of its events the place stays. in_payload: what they say from now on.
CREATE OR REPLACE FUNCTION remove_conversation(
    in_tenant uuid, in_conversation uuid, in_days float, in_payload bytea) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    c conversations%ROWTYPE;
    gone uuid[];
BEGIN
    PERFORM set_config('app.tenant_id', in_tenant::text, true);
    PERFORM conversation_lock(in_conversation);
    DELETE FROM conversations AS v
     WHERE v.tenant_id = in_tenant AND v.id = in_conversation AND v.state IN ('expired', 'cleared')
       AND v.last_activity < now() - make_interval(secs => in_days * 86400)
    RETURNING v.* INTO c;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- Each turn is that of a message, and messages are found by their conversation.
    WITH said AS (
        DELETE FROM messages AS m WHERE m.tenant_id = in_tenant AND m.conversation_id = in_conversation
        RETURNING m.turn_id
    )
    SELECT array_agg(DISTINCT s.turn_id) INTO gone FROM said AS s WHERE s.turn_id IS NOT NULL;
    DELETE FROM steps AS s WHERE s.tenant_id = in_tenant AND s.turn_id = ANY (gone);
    DELETE FROM turns AS t WHERE t.tenant_id = in_tenant AND t.id = ANY (gone);
    -- A turn is over within an hour of its message.
    UPDATE outbox AS o
       SET payload = in_payload
     WHERE o.occurred_at BETWEEN c.created_at AND c.last_activity + interval '1 hour'
       AND o.tenant_id = in_tenant AND o.key = in_conversation::text;
    DELETE FROM contacts AS p
     WHERE p.tenant_id = in_tenant AND p.external_id = c.contact
       AND NOT EXISTS (SELECT FROM conversations AS v WHERE v.tenant_id = in_tenant AND v.contact = c.contact);
    RETURN true;
END $$;

-- Which tenants have explanations, calls of models or dead letters that are over: (tenant, kind, days).
CREATE OR REPLACE FUNCTION retention_due(explanations float, ledger float, events float)
RETURNS TABLE (tenant_id uuid, kind text, days float)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT b.id, k.kind, k.days
      FROM tenants AS b
      LEFT JOIN retained AS r ON r.tenant_id = b.id
     CROSS JOIN LATERAL (VALUES
           ('explanations', retention_days(b.settings, 'explanations_days', explanations)),
           ('ledger', retention_days(b.settings, 'ledger_days', ledger)),
           ('dead_letters', retention_days(b.settings, 'events_days', events))) AS k (kind, days)
     CROSS JOIN LATERAL (SELECT first_id_of(now() - make_interval(secs => k.days * 86400)) AS id) AS first
     WHERE CASE k.kind
           WHEN 'explanations' THEN EXISTS (
               SELECT FROM turns AS t
                WHERE t.tenant_id = b.id AND t.id > coalesce(r.explanations_upto, '00000000-0000-0000-0000-000000000000')
                  AND t.id < first.id)
           WHEN 'ledger' THEN EXISTS (SELECT FROM llm_calls AS l WHERE l.tenant_id = b.id AND l.id < first.id)
           ELSE EXISTS (SELECT FROM dead_letters AS d WHERE d.tenant_id = b.id AND d.id < first.id) END
$$;

-- Why the next `most` turns were answered as they were. How many turns it has seen: fewer than `most` when it is done.
CREATE OR REPLACE FUNCTION remove_explanations(in_tenant uuid, in_days float, most int) RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    upto uuid;
    seen uuid[];
BEGIN
    PERFORM set_config('app.tenant_id', in_tenant::text, true);
    SELECT r.explanations_upto INTO upto FROM retained AS r WHERE r.tenant_id = in_tenant FOR UPDATE;
    SELECT array_agg(o.id ORDER BY o.id) INTO seen
      FROM (SELECT t.id
              FROM turns AS t
             WHERE t.tenant_id = in_tenant AND t.id > coalesce(upto, '00000000-0000-0000-0000-000000000000')
               AND t.id < first_id_of(now() - make_interval(secs => in_days * 86400))
             ORDER BY t.id
             LIMIT most) AS o;
    IF seen IS NULL THEN
        RETURN 0;
    END IF;
    UPDATE turns AS t SET decision = NULL WHERE t.tenant_id = in_tenant AND t.id = ANY (seen) AND t.decision IS NOT NULL;
    DELETE FROM steps AS s WHERE s.tenant_id = in_tenant AND s.turn_id = ANY (seen);
    INSERT INTO retained AS r (tenant_id, explanations_upto) VALUES (in_tenant, seen[cardinality(seen)])
        ON CONFLICT (tenant_id) DO UPDATE SET explanations_upto = EXCLUDED.explanations_upto;
    RETURN cardinality(seen);
END $$;

-- Events that every committed group has read, of tenants that keep them for a shorter time than the deployment.
CREATE OR REPLACE FUNCTION remove_tenants_events(preset_days float, most int) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH read_by_all AS (
        SELECT coalesce(min(p.xid), pg_snapshot_xmin(pg_current_snapshot())) AS xid FROM consumer_positions AS p
    ), shorter AS MATERIALIZED (
        SELECT b.id, now() - make_interval(secs => retention_days(b.settings, 'events_days', preset_days) * 86400) AS until
          FROM tenants AS b
         WHERE retention_days(b.settings, 'events_days', preset_days) < preset_days
    ), old AS (
        SELECT o.xid, o.position
          FROM outbox AS o
          JOIN shorter AS s ON s.id = o.tenant_id, read_by_all AS r
         WHERE o.occurred_at < (SELECT max(s.until) FROM shorter AS s)
           AND o.occurred_at < s.until
           AND o.xid < r.xid
         LIMIT most
    ), gone AS (
        DELETE FROM outbox AS o USING old WHERE o.xid = old.xid AND o.position = old.position RETURNING 1
    )
    SELECT count(*) FROM gone
$$;

REVOKE EXECUTE ON FUNCTION conversations_over(float, int, int), retention_due(float, float, float),
    remove_tenants_events(float, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION conversations_over(float, int, int), retention_due(float, float, float),
    remove_tenants_events(float, int) TO frontdesk_app;
