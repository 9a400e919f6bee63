-- The audit log. The application's role may read it and nothing else: these functions are the only way to write it.

-- A field of the form that is hashed: a netstring, so that no two rows of fields look alike.
CREATE OR REPLACE FUNCTION audit_field(field text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(octet_length(convert_to(field, 'UTF8')) || ':' || field, '-') || ','
$$;

-- A time as it is hashed and exported: whatever the session's time zone and style are, also after a restore.
CREATE OR REPLACE FUNCTION audit_time(moment timestamptz) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

-- The same form is in frontdesk/audit/models.py, which checks rows and exports.
CREATE OR REPLACE FUNCTION audit_hash(of audit) RETURNS bytea
LANGUAGE sql IMMUTABLE SET search_path = public, pg_temp AS $$
    SELECT sha256(convert_to(
               audit_field((of).tenant_id::text) || audit_field((of).number::text) || audit_field(audit_time((of).at))
               || audit_field((of).actor_kind) || audit_field((of).actor_id) || audit_field((of).address)
               || audit_field((of).action) || audit_field((of).target)
               || audit_field((of).before::text) || audit_field((of).after::text)
               || audit_field(encode((of).previous_hash, 'hex')), 'UTF8'))
$$;

-- Holds the end of a chain until the transaction ends: appends of one tenant take turns, so that numbers have no gap
-- and each entry knows the hash before it.
CREATE OR REPLACE FUNCTION audit_lock(chain uuid) RETURNS audit_heads
LANGUAGE plpgsql VOLATILE SET search_path = public, pg_temp AS $$
DECLARE
    head audit_heads;
BEGIN
    INSERT INTO audit_heads (tenant_id, number, hash)
    VALUES (chain, 0, decode(repeat('00', 32), 'hex'))
        ON CONFLICT DO NOTHING;
    SELECT * INTO head FROM audit_heads AS h WHERE h.tenant_id = chain FOR UPDATE;
    RETURN head;
END $$;

-- The tenant is the scope's, or none: the deployment itself. A tenant that is gone gets no entries any more.
CREATE OR REPLACE FUNCTION append_audit(
    of_deployment boolean, in_actor_kind text, in_actor_id text, in_address text, in_action text, in_target text,
    in_before text, in_after text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    deployment CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    chain CONSTANT uuid := CASE WHEN of_deployment THEN deployment ELSE current_setting('app.tenant_id')::uuid END;
    head CONSTANT audit_heads := audit_lock(chain);
    entry audit;
BEGIN
    -- After the lock: who deletes the tenant holds it too.
    IF head.tenant_id IS NULL
       OR chain <> deployment AND NOT EXISTS (SELECT FROM tenants AS t WHERE t.id = chain AND t.state <> 'deleted') THEN
        RAISE EXCEPTION 'no tenant % to append to', chain USING ERRCODE = 'foreign_key_violation';
    END IF;
    entry := ROW(chain, head.number + 1, clock_timestamp(), in_actor_kind, in_actor_id, in_address, in_action, in_target,
                 in_before::json, in_after::json, head.hash, NULL);
    entry.hash := audit_hash(entry);
    INSERT INTO audit SELECT (entry).*;
    UPDATE audit_heads AS h SET number = entry.number, hash = entry.hash WHERE h.tenant_id = chain;
    RETURN entry.number;
END $$;

-- Deletes the chain of the scope's tenant, once the tenant itself is gone, and leaves its length and last hash in the
-- deployment's.
CREATE OR REPLACE FUNCTION close_audit(in_actor_kind text, in_actor_id text, in_address text, in_before text)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    chain CONSTANT uuid := current_setting('app.tenant_id')::uuid;
    head CONSTANT audit_heads := audit_lock(chain);
BEGIN
    IF chain = '00000000-0000-0000-0000-000000000000'
       OR EXISTS (SELECT FROM tenants AS t WHERE t.id = chain AND t.state <> 'deleted') THEN
        RAISE EXCEPTION 'the audit log of % is still in use', chain USING ERRCODE = 'object_in_use';
    END IF;
    DELETE FROM audit AS a WHERE a.tenant_id = chain;
    DELETE FROM audit_heads AS h WHERE h.tenant_id = chain;
    PERFORM append_audit(
        true, in_actor_kind, in_actor_id, in_address, 'tenant.deleted', 'tenant/' || chain, in_before,
        json_build_object('audit_entries', head.number, 'audit_hash', encode(head.hash, 'hex'))::text);
END $$;

REVOKE EXECUTE ON FUNCTION audit_lock(uuid),
    append_audit(boolean, text, text, text, text, text, text, text), close_audit(text, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION append_audit(boolean, text, text, text, text, text, text, text),
    close_audit(text, text, text, text) TO frontdesk_app;
