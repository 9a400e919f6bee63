-- Staff of all tenants at once.

-- Whether anybody manages the deployment, in whichever tenant.
CREATE OR REPLACE FUNCTION has_operator() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM staff WHERE is_operator)
$$;

REVOKE EXECUTE ON FUNCTION has_operator() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION has_operator() TO frontdesk_app;
