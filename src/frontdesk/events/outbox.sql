-- Reading the log across tenants. Readers go by (xid, position) and stop below the oldest transaction that still
-- runs, so an event whose transaction commits late is met when it is there, never skipped. Within a key, xids are in
-- commit order because every writer takes the key's advisory lock before its transaction gets an xid.

CREATE OR REPLACE FUNCTION outbox_end(OUT at_xid bigint, OUT at_position bigint)
LANGUAGE sql VOLATILE AS $$
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1, 9223372036854775807
$$;

-- The next `most` events after a position. Events of topics not asked for come without payload, so that the reader's
-- position moves past them too.
CREATE OR REPLACE FUNCTION outbox_after(after_xid bigint, after_position bigint, in_topics text[], most int)
RETURNS TABLE (
    at_xid bigint, at_position bigint, event_id uuid, topic text, key text, tenant_id uuid, type text, version int,
    occurred_at timestamptz, correlation_id text, causation_id uuid, payload bytea)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT o.xid::text::bigint, o.position, o.event_id, o.topic, o.key, o.tenant_id, o.type, o.version,
           o.occurred_at, o.correlation_id, o.causation_id,
           CASE WHEN o.topic = ANY (in_topics) THEN o.payload END
      FROM outbox AS o
     WHERE (o.xid, o.position) > (after_xid::text::xid8, after_position)
       AND o.xid < pg_snapshot_xmin(pg_current_snapshot())
     ORDER BY o.xid, o.position
     LIMIT most
$$;

-- Takes or keeps the group for a worker; no row while another holds it.
CREATE OR REPLACE FUNCTION consumer_claim(in_consumer text, in_worker uuid, lease_s float)
RETURNS TABLE (at_xid bigint, at_position bigint)
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    INSERT INTO consumer_positions AS p (consumer, xid, position)
    VALUES (in_consumer, '0'::xid8, 0)
        ON CONFLICT DO NOTHING;
    RETURN QUERY
    UPDATE consumer_positions AS p
       SET worker = in_worker, lease_until = now() + make_interval(secs => lease_s), updated_at = now()
     WHERE p.consumer = in_consumer
       AND (p.worker = in_worker OR p.lease_until IS NULL OR p.lease_until < now())
    RETURNING p.xid::text::bigint, p.position;
END $$;

-- Old events that every committed group has read, oldest first.
CREATE OR REPLACE FUNCTION outbox_prune(older_than timestamptz, most int) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH read_by_all AS (
        SELECT coalesce(min(p.xid), pg_snapshot_xmin(pg_current_snapshot())) AS xid FROM consumer_positions AS p
    ), old AS (
        SELECT o.xid, o.position
          FROM outbox AS o, read_by_all AS r
         WHERE o.occurred_at < older_than
           AND o.xid < r.xid
         ORDER BY o.occurred_at
         LIMIT most
    ), gone AS (
        DELETE FROM outbox AS o USING old WHERE o.xid = old.xid AND o.position = old.position RETURNING 1
    )
    SELECT count(*) FROM gone
$$;

REVOKE EXECUTE ON FUNCTION outbox_after(bigint, bigint, text[], int), outbox_prune(timestamptz, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION outbox_after(bigint, bigint, text[], int), outbox_prune(timestamptz, int) TO frontdesk_app;
