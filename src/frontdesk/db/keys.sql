-- Which keys the database's texts are sealed with.

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

REVOKE EXECUTE ON FUNCTION sealing_keys_join(bytea[], bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sealing_keys_join(bytea[], bytea) TO frontdesk_app;
