-- Which keys the database's texts are sealed with, and which servers seal.

-- Servers before functions 4 call it: they note their first key, and are not heard of again.
-- Notes that `first` seals from now on, unless a key is missing among `configured`: those come back, and nothing
-- is noted. One server after the other, so that of two which start on a new database the second sees the first's key.
CREATE OR REPLACE FUNCTION sealing_keys_join(configured bytea[], first bytea)
RETURNS TABLE (id bytea)
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
BEGIN
    LOCK TABLE sealing_keys IN SHARE ROW EXCLUSIVE MODE;
    RETURN QUERY SELECT k.id FROM sealing_keys AS k WHERE k.id <> ALL (configured) ORDER BY k.since LIMIT 100;
    IF NOT FOUND THEN
        INSERT INTO sealing_keys (id) VALUES (first) ON CONFLICT (id) DO NOTHING;
    END IF;
END $$;

-- A server says which keys it knows, in the order in which it would seal with them, and hears which one it seals with
-- from now on: the first that every server knows, so that none meets what it can't open. in_seals: the one that it
-- sealed with until now; NULL at its start. Where a key is missing nothing changes. One after the other, as above.
CREATE OR REPLACE FUNCTION sealing_beat(
    in_server uuid, in_host text, configured bytea[], in_seals bytea, silent_s float,
    OUT seals bytea, OUT missing bytea[], OUT waits_for text[])
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    LOCK TABLE sealing_keys IN SHARE ROW EXCLUSIVE MODE;
    -- It has sealed with this key since it was last heard: whatever was believed of it meanwhile.
    IF in_seals IS NOT NULL THEN
        INSERT INTO sealing_keys (id) VALUES (in_seals) ON CONFLICT (id) DO NOTHING;
    END IF;
    missing := ARRAY(SELECT k.id FROM sealing_keys AS k WHERE k.id <> ALL (configured) ORDER BY k.since LIMIT 100);
    IF missing <> '{}' THEN
        RETURN;
    END IF;
    DELETE FROM sealing_servers AS s
     WHERE s.server <> in_server AND s.seen NOT BETWEEN now() - make_interval(secs => silent_s) AND now() + interval '1 hour';
    SELECT c.id INTO seals
      FROM unnest(configured) WITH ORDINALITY AS c (id, place)
     WHERE NOT EXISTS (SELECT FROM sealing_servers AS s WHERE s.server <> in_server AND c.id <> ALL (s.knows))
     ORDER BY c.place
     LIMIT 1;
    waits_for := ARRAY(
        SELECT s.host FROM sealing_servers AS s WHERE s.server <> in_server AND configured[1] <> ALL (s.knows) LIMIT 100);
    IF seals IS NULL THEN
        RETURN;
    END IF;
    INSERT INTO sealing_keys (id) VALUES (seals) ON CONFLICT (id) DO NOTHING;
    DELETE FROM retired_keys AS r WHERE r.id = seals;
    INSERT INTO sealing_servers AS s (server, host, knows, seals)
    VALUES (in_server, in_host, configured, sealing_beat.seals)
        ON CONFLICT (server) DO UPDATE
       SET knows = EXCLUDED.knows, seals = EXCLUDED.seals, seen = now(),
           seals_since = CASE WHEN s.seals = EXCLUDED.seals THEN s.seals_since ELSE now() END;
END $$;

-- Nothing is sealed with another key than `kept` any more: servers start without the others. Those that a server
-- still seals with stay. Gives the retired ones.
CREATE OR REPLACE FUNCTION sealing_keys_retire(kept bytea, silent_s float) RETURNS SETOF bytea
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    LOCK TABLE sealing_keys IN SHARE ROW EXCLUSIVE MODE;
    RETURN QUERY
    WITH gone AS (
        DELETE FROM sealing_keys AS k
         WHERE k.id <> kept
           AND NOT EXISTS (
               SELECT FROM sealing_servers AS s
                WHERE s.seals = k.id AND s.seen > now() - make_interval(secs => silent_s))
        RETURNING k.id
    )
    INSERT INTO retired_keys AS r (id) SELECT g.id FROM gone AS g
        ON CONFLICT (id) DO UPDATE SET retired = now()
    RETURNING r.id;
END $$;

REVOKE EXECUTE ON FUNCTION sealing_keys_join(bytea[], bytea), sealing_beat(uuid, text, bytea[], bytea, float),
    sealing_keys_retire(bytea, float) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sealing_keys_join(bytea[], bytea), sealing_beat(uuid, text, bytea[], bytea, float),
    sealing_keys_retire(bytea, float) TO frontdesk_app;
