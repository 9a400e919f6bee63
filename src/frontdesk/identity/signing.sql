-- Keys that tokens are signed with.

-- Adds a key, unless it is to be `first` and there is one already that signs: of two servers that make the first key
-- at the same time one does. `closed`: keys that the caller can't open, and so can't sign with.
CREATE OR REPLACE FUNCTION add_signing_key(
    new_kid text, new_public jsonb, new_private bytea, moment timestamptz, first boolean, closed text[])
RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE;
    IF first AND EXISTS (SELECT FROM signing_keys AS k WHERE k.kid <> ALL (closed) AND k.signs_from <= moment) THEN
        RETURN;
    END IF;
    INSERT INTO signing_keys (kid, public, private, signs_from) VALUES (new_kid, new_public, new_private, moment);
END $$;

REVOKE EXECUTE ON FUNCTION add_signing_key(text, jsonb, bytea, timestamptz, boolean, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION add_signing_key(text, jsonb, bytea, timestamptz, boolean, text[]) TO frontdesk_app;
