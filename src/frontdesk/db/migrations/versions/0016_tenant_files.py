"""What an export writes back: files beside the definitions, documents as they came, and what came from files at all.

Revision: 0016
"""

from alembic import op

revision = "0016"
down_revision = "0015"

_TABLES = {
    # Functions of tools and the folder's README: kept to be exported, never run from here.
    "tenant_files": """
        tenant_id uuid NOT NULL, name text NOT NULL, content bytea NOT NULL, PRIMARY KEY (tenant_id, name)""",
    # What the last apply found in the files: what they no longer have is removed, what was made otherwise stays.
    "applied": """
        tenant_id uuid NOT NULL, kind text NOT NULL, name text NOT NULL, PRIMARY KEY (tenant_id, kind, name)""",
}

# Until now everything came from files.
_FROM_FILES = {
    "agent": "agents",
    "tool": "tools",
    "prompt": "prompts",
    "alias": "aliases",
    "secret": "secrets",
    "document": "documents",
}


def upgrade() -> None:
    for table, columns in _TABLES.items():
        op.execute(f"CREATE TABLE {table} ({columns})")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant ON {table} USING (tenant_id = current_setting('app.tenant_id')::uuid)")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO frontdesk_app")
    for kind, table in _FROM_FILES.items():
        op.execute(f"INSERT INTO applied SELECT DISTINCT tenant_id, '{kind}', name FROM {table}")
    # NULL: from before; the next apply of the same document fills it in.
    op.execute("ALTER TABLE documents ADD COLUMN original bytea")
    # The environment variable that it came from; NULL: from before, or not from a file.
    op.execute("ALTER TABLE secrets ADD COLUMN variable text")


def downgrade() -> None:
    raise NotImplementedError("frontdesk's migrations only go forward: restore a backup instead.")
