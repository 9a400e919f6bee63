-- The passages of the scope's tenant that answer a query best.
--
-- Two ways to find candidates, by meaning (cosine) and by words; one order for all that either found: cosine plus half
-- of the words' score, the best one's being 1. Reciprocal rank fusion forgets by how much one passage is better than the
-- next (right passage first on XQuAD English: 0.93, so 0.96; on Spanish 0.77, so 0.90). Words count as in BM25: the
-- rarer in the tenant's knowledge the more, and ts_rank's 1 + 1/4 + 1/9 … for repetition is its saturation.
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
    words_weight CONSTANT float := 0.5;
    this_tenant CONSTANT uuid := current_setting('app.tenant_id')::uuid;
    total int;
    terms tsquery[];
    weights float[];
    any_term tsquery;
    nearest uuid[];
BEGIN
    SELECT k.passages INTO total FROM knowledge AS k WHERE k.tenant_id = this_tenant;
    IF total IS NULL OR total = 0 THEN
        RETURN;
    END IF;

    WITH known AS (
        SELECT w.passages AS used,
               ln(1 + (total - w.passages + 0.5) / (w.passages + 0.5))::float AS weight,
               ('''' || replace(replace(w.word, '\', '\\'), '''', '''''') || '''')::tsquery AS term,
               sum(w.passages) OVER (ORDER BY w.passages, w.word) - w.passages AS used_before
          FROM unnest(to_tsvector('english', in_query)) AS q
          JOIN knowledge_words AS w ON w.tenant_id = this_tenant AND w.word = q.lexeme
         WHERE w.passages BETWEEN 1 AND total
         ORDER BY cardinality(q.positions) DESC, w.passages
         LIMIT most_terms
    )
    SELECT array_agg(k.term), array_agg(k.weight),
           string_agg(k.term::text, ' | ') FILTER (WHERE k.used_before = 0 OR k.used_before + k.used <= most_ranked)
      INTO terms, weights, any_term
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
    ), found AS MATERIALIZED (
        SELECT p.id,
               1 - (p.embedding <=> in_vector) AS likeness,
               coalesce((SELECT sum(t.weight * ts_rank('{1,1,1,1}', p.words, t.term))
                           FROM unnest(terms, weights) AS t (term, weight)), 0) AS words
          FROM passages AS p
         WHERE p.tenant_id = this_tenant
           AND p.id IN (SELECT unnest(nearest) UNION SELECT w.id FROM worded AS w)
    )
    SELECT f.id, f.likeness, f.likeness + words_weight * coalesce(f.words / nullif(max(f.words) OVER (), 0), 0)
      FROM found AS f
     WHERE f.likeness >= min_score
     ORDER BY 3 DESC, 1
     LIMIT most;
END $$;
