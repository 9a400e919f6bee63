"""Which keys the database's texts are sealed with: a server that lacks one of them must not start.

Revision: 0007
"""

from alembic import op

revision = "0007"
down_revision = "0006"

# What was sealed before this table was there tells its keys itself (bytes 2 to 5). Enough to be looked at are the
# newest event, the secrets, and one message where all events have gone by: not a table of millions.
_KEYS_IN_USE = """
    INSERT INTO sealing_keys (id)
    SELECT DISTINCT substring(known.sealed FROM 2 FOR 4)
      FROM ((SELECT o.payload AS sealed FROM outbox AS o
              WHERE octet_length(o.payload) > 17 ORDER BY o.xid DESC, o.position DESC LIMIT 1)
            UNION ALL
            (SELECT m.body FROM messages AS m WHERE octet_length(m.body) > 17 LIMIT 1)
            UNION ALL
            SELECT s.value FROM secrets AS s) AS known
"""


def upgrade() -> None:
    # Of no tenant: an id is four bytes of a key's hash, and tells nothing of the key.
    op.execute("CREATE TABLE sealing_keys (id bytea PRIMARY KEY, since timestamptz NOT NULL DEFAULT now())")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON sealing_keys TO frontdesk_app")
    op.execute(_KEYS_IN_USE)


def downgrade() -> None:
    raise NotImplementedError("frontdesk's migrations only go forward: restore a backup instead.")
