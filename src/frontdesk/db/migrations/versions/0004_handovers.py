"""How often a turn was handed over by a server that stopped: of its attempts, those that cost nobody's life.

Revision: 0004
"""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("ALTER TABLE turns ADD COLUMN handovers int NOT NULL DEFAULT 0")


def downgrade() -> None:
    raise NotImplementedError("frontdesk's migrations only go forward: restore a backup instead.")
