"""Whether the owner who begins by a link manages the deployment too.

Revision: 0017
"""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.execute("ALTER TABLE staff_links ADD COLUMN is_operator boolean NOT NULL DEFAULT false")


def downgrade() -> None:
    raise NotImplementedError("frontdesk's migrations only go forward: restore a backup instead.")
