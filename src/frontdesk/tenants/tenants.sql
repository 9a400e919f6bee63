-- Finding a tenant before its scope can be opened: the only reads that go across tenants, and they give no content.

-- What reads as an id is one, so that no slug can stand in for another tenant's id.
CREATE OR REPLACE FUNCTION tenant_named(slug_or_id text)
RETURNS TABLE (id uuid, slug text, name text, version bigint, settings jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    IF slug_or_id ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN
        RETURN QUERY
        SELECT t.id, t.slug, t.name, t.version, t.settings
          FROM tenants AS t
         WHERE t.id = slug_or_id::uuid;
    ELSE
        RETURN QUERY
        SELECT t.id, t.slug, t.name, t.version, t.settings
          FROM tenants AS t
         WHERE t.slug = slug_or_id;
    END IF;
END $$;

CREATE OR REPLACE FUNCTION tenants_listed(after text, most int)
RETURNS TABLE (id uuid, slug text, name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.id, t.slug, t.name
      FROM tenants AS t
     WHERE t.slug > after
     ORDER BY t.slug
     LIMIT most
$$;

REVOKE EXECUTE ON FUNCTION tenant_named(text), tenants_listed(text, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenant_named(text), tenants_listed(text, int) TO frontdesk_app;
