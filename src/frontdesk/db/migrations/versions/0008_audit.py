"""The audit log: entries chained by hashes, and where each chain ends. The application may read them, no more.

Revision: 0008
"""

from alembic import op

revision = "0008"
down_revision = "0007"

_TABLES = {
    # before, after: `json`, not `jsonb`, since the hash is over the text as it was written.
    "audit": """
        tenant_id uuid NOT NULL, number bigint NOT NULL, at timestamptz NOT NULL, actor_kind text NOT NULL,
        actor_id text NOT NULL, address text, action text COLLATE "C" NOT NULL, target text COLLATE "C" NOT NULL,
        before json, after json,
        previous_hash bytea NOT NULL, hash bytea NOT NULL, PRIMARY KEY (tenant_id, number)""",
    "audit_heads": "tenant_id uuid PRIMARY KEY, number bigint NOT NULL, hash bytea NOT NULL",
}


def upgrade() -> None:
    for table, columns in _TABLES.items():
        op.execute(f"CREATE TABLE {table} ({columns})")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant ON {table} USING (tenant_id = current_setting('app.tenant_id')::uuid)")
        op.execute(f"GRANT SELECT ON {table} TO frontdesk_app")
    op.execute("CREATE INDEX audit_by_actor ON audit (tenant_id, actor_id, number)")
    op.execute("CREATE INDEX audit_by_action ON audit (tenant_id, action, number)")
    op.execute("CREATE INDEX audit_by_target ON audit (tenant_id, target, number)")


def downgrade() -> None:
    raise NotImplementedError("frontdesk's migrations only go forward: restore a backup instead.")
