"""Rotation of sealing keys: which servers run, which keys they know, and which keys were retired.

Revision: 0009
"""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    # Of no tenant, like sealing_keys: ids of keys and names of machines. seen: a silent one is believed gone.
    op.execute(
        """
        CREATE TABLE sealing_servers (
            server uuid PRIMARY KEY, host text NOT NULL, knows bytea[] NOT NULL, seals bytea NOT NULL,
            seals_since timestamptz NOT NULL DEFAULT now(), seen timestamptz NOT NULL DEFAULT now())
        """
    )
    op.execute("CREATE TABLE retired_keys (id bytea PRIMARY KEY, retired timestamptz NOT NULL DEFAULT now())")
    for table in ("sealing_servers", "retired_keys"):
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO frontdesk_app")


def downgrade() -> None:
    raise NotImplementedError("frontdesk's migrations only go forward: restore a backup instead.")
