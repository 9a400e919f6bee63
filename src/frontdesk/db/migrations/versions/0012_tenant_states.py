"""The life of a tenant: active, suspended, deleting, deleted.

Revision: 0012
"""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    # deleted: the rows are gone and the id stays for a while, so that what is written late is found and removed too.
    op.execute(
        """
        ALTER TABLE tenants
            ADD COLUMN state text NOT NULL DEFAULT 'active'
                CHECK (state IN ('active', 'suspended', 'deleting', 'deleted')),
            ADD COLUMN state_since timestamptz NOT NULL DEFAULT now()
        """
    )
    op.execute("CREATE INDEX tenants_leaving ON tenants (state_since) WHERE state IN ('deleting', 'deleted')")


def downgrade() -> None:
    raise NotImplementedError("frontdesk's migrations only go forward: restore a backup instead.")
