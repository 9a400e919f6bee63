"""Verdicts of people on the decisions of turns: right, or wrong and whose it was.

Revision: 0002
"""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # agent: who should have answered, where the author said so; not a key, as agents come and go.
    op.execute(
        """
        CREATE TABLE feedback (
            tenant_id uuid NOT NULL, turn_id uuid NOT NULL, author text NOT NULL,
            verdict text NOT NULL CHECK (verdict IN ('right', 'wrong')), agent text,
            given_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (tenant_id, turn_id, author),
            FOREIGN KEY (tenant_id, turn_id) REFERENCES turns ON DELETE CASCADE)
        """
    )
    op.execute("ALTER TABLE feedback ENABLE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY tenant ON feedback USING (tenant_id = current_setting('app.tenant_id')::uuid)")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON feedback TO frontdesk_app")
    op.execute("CREATE INDEX feedback_by_time ON feedback (tenant_id, given_at DESC) INCLUDE (verdict)")


def downgrade() -> None:
    raise NotImplementedError("frontdesk's migrations only go forward: restore a backup instead.")
