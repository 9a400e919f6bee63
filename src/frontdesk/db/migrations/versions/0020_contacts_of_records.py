"""Whose the records are that tools wrote before: by the call's step, where it is still there.

Revision: 0020
"""

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.execute(
        """
        UPDATE records AS r
           SET contact = c.contact
          FROM steps AS s
          JOIN turns AS t ON t.tenant_id = s.tenant_id AND t.id = s.turn_id
          JOIN conversations AS c ON c.tenant_id = t.tenant_id AND c.id = t.conversation_id
         WHERE s.tenant_id = r.tenant_id AND s.key = r.made_by AND s.key <> '' AND r.contact IS NULL
        """
    )


def downgrade() -> None:
    raise NotImplementedError("frontdesk's migrations only go forward: restore a backup instead.")
