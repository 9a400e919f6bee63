-- Of every tenant that has verdicts: how many of each stand. Across tenants, numbers only.
CREATE OR REPLACE FUNCTION feedback_totals(most int) RETURNS TABLE (slug text, verdict_right bigint, verdict_wrong bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.slug, count(*) FILTER (WHERE f.verdict = 'right'), count(*) FILTER (WHERE f.verdict = 'wrong')
      FROM feedback AS f
      JOIN tenants AS t ON t.id = f.tenant_id
     GROUP BY t.slug
     ORDER BY t.slug
     LIMIT most
$$;

REVOKE EXECUTE ON FUNCTION feedback_totals(int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION feedback_totals(int) TO frontdesk_app;
