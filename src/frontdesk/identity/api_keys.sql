-- API keys before their tenant is known.

-- What is needed to tell whether a key is the one of this prefix, and what it may; nothing of a key that was revoked.
CREATE OR REPLACE FUNCTION api_key_of(wanted text)
RETURNS TABLE (tenant_id uuid, id uuid, hash bytea, scopes text[], expires_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT k.tenant_id, k.id, k.hash, k.scopes, k.expires_at
      FROM api_keys AS k
     WHERE k.prefix = wanted
       AND k.revoked_at IS NULL
$$;

-- Of keys that a server knows, those that may still be used. Of a key only that it is revoked can change.
CREATE OR REPLACE FUNCTION api_keys_valid(ids uuid[]) RETURNS TABLE (id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT k.id
      FROM api_keys AS k
     WHERE k.id = ANY (ids)
       AND k.revoked_at IS NULL
$$;

-- Notes when keys were last used, of any tenants: ids and moments by their place.
CREATE OR REPLACE FUNCTION api_keys_used(ids uuid[], moments timestamptz[]) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE api_keys AS k
       SET last_used_at = used.moment
      FROM unnest(ids, moments) AS used (id, moment)
     WHERE k.id = used.id
       AND (k.last_used_at IS NULL OR k.last_used_at < used.moment)
$$;

REVOKE EXECUTE ON FUNCTION api_key_of(text), api_keys_valid(uuid[]), api_keys_used(uuid[], timestamptz[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api_key_of(text), api_keys_valid(uuid[]), api_keys_used(uuid[], timestamptz[]) TO frontdesk_app;
