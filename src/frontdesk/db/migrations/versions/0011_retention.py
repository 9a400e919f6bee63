"""Retention: how far each tenant's explanations were removed, and conversations by their age.

Revision: 0011
"""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    # First, so that a repetition finds nothing that is there already but what a stopped one left.
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '10min'")  # it holds nobody up, and waits for transactions that are long
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS conversations_by_age")
        # By when they began, which never changes: by their last activity each turn would write to it.
        op.execute("CREATE INDEX CONCURRENTLY conversations_by_age ON conversations (tenant_id, created_at)")
        op.execute("RESET lock_timeout")
    op.execute("CREATE TABLE retained (tenant_id uuid PRIMARY KEY, explanations_upto uuid NOT NULL)")
    op.execute("ALTER TABLE retained ENABLE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY tenant ON retained USING (tenant_id = current_setting('app.tenant_id')::uuid)")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON retained TO frontdesk_app")


def downgrade() -> None:
    raise NotImplementedError("frontdesk's migrations only go forward: restore a backup instead.")
