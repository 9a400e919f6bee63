-- The passages of the scope's tenant that answer a query best.
--
-- Two ways to find candidates, by meaning (cosine) and by words; one order for all that either found: cosine plus
-- `words_weight` of the words' score, the best one's being 1 (why not by rank, and what was measured: decision 0012).
-- Words count as in BM25: the rarer in the tenant's knowledge the more, the oftener in the question the more, and
-- ts_rank's 1 + 1/4 + 1/9 … for repetition in a passage is its saturation. What is not near in meaning is found
-- nevertheless when most of the question's words stand in it. A passage is as near as the nearest of its text and of the
-- questions that its document says it answers.
--
-- SECURITY DEFINER, because row-level security keeps `@@` (not leakproof) from every index. The tenant comes from the
-- scope, never from the caller, and the caller joins the ids with `passages` under row-level security.
CREATE OR REPLACE FUNCTION search_passages(in_query text, in_vector halfvec, min_score float, most int)
RETURNS TABLE (passage_id uuid, score float, rank float)
LANGUAGE plpgsql STABLE ROWS 5 SECURITY DEFINER SET search_path = public, pg_temp
-- A plan for the average tenant would read the whole table for the smallest one; the indexes are right for all.
SET enable_seqscan = off
-- Goes on through the index until enough passages are the tenant's own.
SET hnsw.iterative_scan = strict_order
SET hnsw.ef_search = 200
SET hnsw.max_scan_tuples = 50000
AS $$
DECLARE
    -- Up to here every passage is compared: a few milliseconds, nothing missed, however large the other tenants are.
    exact_up_to CONSTANT int := 5000;
    candidates CONSTANT int := greatest(50, 2 * most);
    most_terms CONSTANT int := 32;
    -- Passages with the query's rarest words are ranked, at most about so many.
    most_ranked CONSTANT int := 1000;
    -- The model of meaning is an English one. It knows other scripts by single letters only: there words decide.
    is_foreign CONSTANT boolean := 2 * regexp_count(in_query, '[^\u0001-\u036f]') > regexp_count(in_query, '[[:alpha:]]');
    words_weight CONSTANT float := CASE WHEN is_foreign THEN 1.5 ELSE 0.4 END;
    enough_words CONSTANT float := 0.5;  -- of the weight of the question's words
    this_tenant CONSTANT uuid := current_setting('app.tenant_id')::uuid;
    total int;
    terms tsquery[];
    weights float[];
    any_term tsquery;
    whole float;
    nearest uuid[];
BEGIN
    SELECT k.passages INTO total FROM knowledge AS k WHERE k.tenant_id = this_tenant;
    IF total IS NULL OR total = 0 THEN
        RETURN;
    END IF;

    WITH asked AS (  -- the question's words, those that nothing has included
        SELECT q.lexeme, cardinality(q.positions) AS often, coalesce(w.passages, 0) AS used,
               ln(1 + (total - coalesce(w.passages, 0) + 0.5) / (coalesce(w.passages, 0) + 0.5))::float AS weight
          FROM unnest(to_tsvector('english', in_query)) AS q
          LEFT JOIN knowledge_words AS w ON w.tenant_id = this_tenant AND w.word = q.lexeme
         WHERE coalesce(w.passages, 0) BETWEEN 0 AND total
    ), known AS (
        SELECT a.used, a.often * a.weight AS weight,
               ('''' || replace(replace(a.lexeme, '\', '\\'), '''', '''''') || '''')::tsquery AS term,
               sum(a.used) OVER (ORDER BY a.used, a.lexeme) - a.used AS used_before
          FROM asked AS a
         WHERE a.used > 0
         ORDER BY a.often DESC, a.used
         LIMIT most_terms
    )
    SELECT array_agg(k.term), array_agg(k.weight),
           string_agg(k.term::text, ' | ') FILTER (WHERE k.used_before = 0 OR k.used_before + k.used <= most_ranked),
           (SELECT sum(a.often * a.weight) FROM asked AS a)
      INTO terms, weights, any_term, whole
      FROM known AS k;

    IF total <= exact_up_to THEN
        SELECT array_agg(n.id) INTO nearest
          FROM (SELECT p.id
                  FROM passages AS p
                 WHERE p.tenant_id = this_tenant
                 ORDER BY (p.embedding <=> in_vector) + 0  -- not the index's expression: every passage is compared
                 LIMIT candidates) AS n;
    ELSE
        SELECT array_agg(n.id) INTO nearest
          FROM (SELECT p.id
                  FROM passages AS p
                 WHERE p.tenant_id = this_tenant
                 ORDER BY p.embedding <=> in_vector
                 LIMIT candidates) AS n;
    END IF;

    RETURN QUERY
    WITH worded AS (
        SELECT p.id
          FROM passages AS p
         WHERE p.tenant_id = this_tenant
           AND p.words @@ any_term
         ORDER BY (SELECT sum(t.weight * ts_rank('{1,1,1,1}', p.words, t.term))
                     FROM unnest(terms, weights) AS t (term, weight)) DESC
         LIMIT candidates
    ), answering AS MATERIALIZED (  -- all of the tenant's questions are compared
        SELECT q.passage_id, 1 - min(q.embedding <=> in_vector) AS likeness
          FROM passage_questions AS q
         WHERE q.tenant_id = this_tenant
         GROUP BY q.passage_id
         ORDER BY 2 DESC
         LIMIT candidates
    ), found AS MATERIALIZED (
        SELECT p.id,
               greatest(1 - (p.embedding <=> in_vector), a.likeness) AS likeness,
               coalesce(m.words, 0) AS words,
               coalesce(m.covered, 0) AS covered
          FROM passages AS p
          LEFT JOIN answering AS a ON a.passage_id = p.id
         CROSS JOIN LATERAL (
                SELECT sum(r.weight * r.rank) AS words, sum(r.weight) FILTER (WHERE r.rank > 0) AS covered
                  FROM (SELECT t.weight, ts_rank('{1,1,1,1}', p.words, t.term) AS rank
                          FROM unnest(terms, weights) AS t (term, weight)) AS r) AS m
         WHERE p.tenant_id = this_tenant
           AND p.id IN (SELECT unnest(nearest) UNION SELECT w.id FROM worded AS w
                        UNION SELECT b.passage_id FROM answering AS b)
    )
    SELECT f.id, f.likeness, f.likeness + words_weight * coalesce(f.words / nullif(max(f.words) OVER (), 0), 0)
      FROM found AS f
     WHERE f.likeness >= min_score
        OR f.covered > enough_words * whole
     ORDER BY 3 DESC, 1
     LIMIT most;
END $$;

REVOKE EXECUTE ON FUNCTION search_passages(text, halfvec, float, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search_passages(text, halfvec, float, int) TO frontdesk_app;
