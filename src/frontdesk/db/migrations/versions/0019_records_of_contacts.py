"""Records of tools know whose they are: found when the contact is erased, also when the call's step is long gone.

Revision: 0019
"""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    # NULL: nobody's that is known; also what servers before this migration still write. The next version fills it in.
    op.execute("ALTER TABLE records ADD COLUMN contact text")
    op.execute("CREATE INDEX records_by_contact ON records (tenant_id, contact)")


def downgrade() -> None:
    raise NotImplementedError("frontdesk's migrations only go forward: restore a backup instead.")
