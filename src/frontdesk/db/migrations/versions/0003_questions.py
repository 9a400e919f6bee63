"""Questions that documents say they answer, as vectors: further ways to find a passage.

Revision: 0003
"""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    # number: among the document's questions. The question's text stays in the document's file.
    op.execute(
        """
        CREATE TABLE passage_questions (
            tenant_id uuid NOT NULL, passage_id uuid NOT NULL, number int NOT NULL, embedding halfvec(384) NOT NULL,
            PRIMARY KEY (tenant_id, passage_id, number),
            FOREIGN KEY (tenant_id, passage_id) REFERENCES passages ON DELETE CASCADE)
        """
    )
    op.execute("ALTER TABLE passage_questions ENABLE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY tenant ON passage_questions USING (tenant_id = current_setting('app.tenant_id')::uuid)")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON passage_questions TO frontdesk_app")


def downgrade() -> None:
    raise NotImplementedError("frontdesk's migrations only go forward: restore a backup instead.")
