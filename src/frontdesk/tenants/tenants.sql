-- Finding a tenant before its scope can be opened: the only reads that go across tenants, and they give no content.

-- What reads as an id is one, so that no slug can stand in for another tenant's id.
CREATE OR REPLACE FUNCTION tenant_named(slug_or_id text)
RETURNS TABLE (id uuid, slug text, name text, version bigint, settings jsonb, state text, created_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    IF slug_or_id ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN
        RETURN QUERY
        SELECT t.id, t.slug, t.name, t.version, t.settings, t.state, t.created_at
          FROM tenants AS t
         WHERE t.id = slug_or_id::uuid AND t.state <> 'deleted';
    ELSE
        RETURN QUERY
        SELECT t.id, t.slug, t.name, t.version, t.settings, t.state, t.created_at
          FROM tenants AS t
         WHERE t.slug = slug_or_id AND t.state <> 'deleted';
    END IF;
END $$;

-- Of tenants that a server knows at these versions (by their place), those that are at another, or gone: every change of
-- definitions, settings or state makes a new version.
CREATE OR REPLACE FUNCTION tenants_changed(ids uuid[], versions bigint[])
RETURNS TABLE (id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT known.id
      FROM unnest(ids, versions) AS known (id, version)
      LEFT JOIN tenants AS t ON t.id = known.id
     WHERE t.version IS DISTINCT FROM known.version
$$;

CREATE OR REPLACE FUNCTION tenants_listed(after text, most int)
RETURNS TABLE (id uuid, slug text, name text, state text, created_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.id, t.slug, t.name, t.state, t.created_at
      FROM tenants AS t
     WHERE t.slug > after AND t.state <> 'deleted'
     ORDER BY t.slug
     LIMIT most
$$;

-- Tenants on their way out: whoever began to delete one may have died of it.
CREATE OR REPLACE FUNCTION tenants_leaving(most int)
RETURNS TABLE (id uuid, state text, since_s float)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.id, t.state, greatest(0, extract(epoch FROM now() - t.state_since))::float
      FROM tenants AS t
     WHERE t.state IN ('deleting', 'deleted')
     ORDER BY t.state_since
     LIMIT most
$$;

-- Every table that has a tenant, from the catalogue: one that comes with a later version needs no line here. Those that
-- refer to others come before them, so that no foreign key is in the way and no cascade grows without bounds. Not those
-- from which the application may delete nothing, the audit log's: they have their own way.
CREATE OR REPLACE FUNCTION tenant_tables() RETURNS TABLE (name text, is_indexed boolean)
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    WITH RECURSIVE owned AS (
        SELECT c.oid, a.attnum
          FROM pg_class AS c
          JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
           AND has_table_privilege('frontdesk_app', c.oid, 'DELETE')
    ), ranked AS (
        SELECT o.oid, 0 AS rank FROM owned AS o
         UNION ALL
        SELECT k.confrelid, r.rank + 1
          FROM ranked AS r
          JOIN pg_constraint AS k ON k.conrelid = r.oid AND k.contype = 'f' AND k.confrelid <> r.oid
         WHERE r.rank < 32
    )
    SELECT o.oid::regclass::text,
           EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = o.oid AND i.indkey[0] = o.attnum AND i.indisvalid
                       AND i.indpred IS NULL)
      FROM owned AS o
      JOIN ranked AS r ON r.oid = o.oid
     GROUP BY o.oid, o.attnum
     ORDER BY max(r.rank), 1
$$;

-- A portion of a tenant's rows of one table, whatever the application may do to them otherwise; only of a tenant that
-- is being deleted. Where no index begins with the tenant, the table's pages are gone through once, `most` at a time.
CREATE OR REPLACE FUNCTION tenant_erase(
    in_tenant uuid, in_table text, from_block bigint, most int, OUT erased bigint, OUT next_block bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    known record;
BEGIN
    IF NOT EXISTS (SELECT FROM tenants AS t WHERE t.id = in_tenant AND t.state IN ('deleting', 'deleted')) THEN
        RAISE 'the tenant % is not being deleted', in_tenant USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('erase:' || in_tenant, 0));  -- who erases beside us waits its turn
    SELECT t.name, t.is_indexed INTO STRICT known FROM tenant_tables() AS t WHERE t.name = in_table;
    IF known.is_indexed THEN
        EXECUTE format('DELETE FROM %s WHERE ctid = ANY (ARRAY(SELECT ctid FROM %1$s WHERE tenant_id = $1 LIMIT $2))',
                       known.name)
          USING in_tenant, most;
        GET DIAGNOSTICS erased = ROW_COUNT;
        next_block := CASE WHEN erased >= most THEN 0 END;
    ELSE
        EXECUTE format('DELETE FROM %s WHERE tenant_id = $1 AND ctid >= $2 AND ctid < $3', known.name)
          USING in_tenant, format('(%s,0)', from_block)::tid, format('(%s,0)', from_block + most)::tid;
        GET DIAGNOSTICS erased = ROW_COUNT;
        IF (from_block + most) * current_setting('block_size')::bigint < pg_relation_size(known.name::regclass) THEN
            next_block := from_block + most;
        END IF;
    END IF;
END $$;

REVOKE EXECUTE ON FUNCTION tenant_named(text), tenants_changed(uuid[], bigint[]), tenants_listed(text, int),
    tenants_leaving(int), tenant_erase(uuid, text, bigint, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenant_named(text), tenants_changed(uuid[], bigint[]), tenants_listed(text, int),
    tenants_leaving(int), tenant_erase(uuid, text, bigint, int) TO frontdesk_app;
