"""API keys: programs that call for a tenant.

Revision: 0010
"""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    # hash: SHA-256 of the whole key, which is nowhere else. made_by: the kind and id of who made it.
    op.execute(
        """
        CREATE TABLE api_keys (
            tenant_id uuid NOT NULL, id uuid NOT NULL UNIQUE, prefix text NOT NULL UNIQUE, hash bytea NOT NULL,
            name text NOT NULL, scopes text[] NOT NULL, made_by text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(), expires_at timestamptz, last_used_at timestamptz,
            revoked_at timestamptz, PRIMARY KEY (tenant_id, id))
        """
    )
    op.execute("ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY tenant ON api_keys USING (tenant_id = current_setting('app.tenant_id')::uuid)")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON api_keys TO frontdesk_app")


def downgrade() -> None:
    raise NotImplementedError("frontdesk's migrations only go forward: restore a backup instead.")
