"""Staff: people, their sign-ins, single-use links, and failed attempts to sign in.

Revision: 0013
"""

from alembic import op

revision = "0013"
down_revision = "0012"

_TABLES = {
    # email: case-folded. totp_secret: sealed. totp_step: of the last code used. recovery_codes: hashes of those left.
    "staff": """
        tenant_id uuid NOT NULL, id uuid NOT NULL, email text NOT NULL, name text NOT NULL,
        role text NOT NULL CHECK (role IN ('owner', 'admin', 'supporter', 'viewer')),
        state text NOT NULL CHECK (state IN ('invited', 'active', 'disabled')),
        is_operator boolean NOT NULL DEFAULT false, password_hash text, totp_secret bytea,
        totp_on boolean NOT NULL DEFAULT false, totp_step bigint NOT NULL DEFAULT 0,
        recovery_codes bytea[] NOT NULL DEFAULT '{}', openid_subject text, version int NOT NULL DEFAULT 1,
        created_at timestamptz NOT NULL DEFAULT now(), last_sign_in timestamptz,
        PRIMARY KEY (tenant_id, id), UNIQUE (tenant_id, email)""",
    # token_hash: of the refresh token that is good now. spent: of the last ones before it, the newest first.
    "staff_sessions": """
        tenant_id uuid NOT NULL, id uuid NOT NULL, staff_id uuid NOT NULL, token_hash bytea NOT NULL,
        spent bytea[] NOT NULL DEFAULT '{}', renewed_at timestamptz NOT NULL, device text NOT NULL,
        address text NOT NULL, created_at timestamptz NOT NULL, last_seen timestamptz NOT NULL,
        expires_at timestamptz NOT NULL, PRIMARY KEY (tenant_id, id),
        FOREIGN KEY (tenant_id, staff_id) REFERENCES staff ON DELETE CASCADE""",
    # staff_id: null for the link of a tenant's first owner.
    "staff_links": """
        tenant_id uuid NOT NULL, token_hash bytea NOT NULL,
        purpose text NOT NULL CHECK (purpose IN ('owner', 'invitation', 'reset')), staff_id uuid,
        expires_at timestamptz NOT NULL, PRIMARY KEY (tenant_id, token_hash),
        FOREIGN KEY (tenant_id, staff_id) REFERENCES staff ON DELETE CASCADE""",
    # key: a hash of what is counted (an account, an address), known or not.
    "sign_in_failures": """
        tenant_id uuid NOT NULL, key bytea NOT NULL, failures int NOT NULL, last_at timestamptz NOT NULL,
        free_at timestamptz NOT NULL, PRIMARY KEY (tenant_id, key)""",
}


def upgrade() -> None:
    for table, columns in _TABLES.items():
        op.execute(f"CREATE TABLE {table} ({columns})")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant ON {table} USING (tenant_id = current_setting('app.tenant_id')::uuid)")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO frontdesk_app")
    op.execute(
        "CREATE UNIQUE INDEX staff_by_openid ON staff (tenant_id, openid_subject) WHERE openid_subject IS NOT NULL"
    )
    op.execute("CREATE INDEX staff_sessions_by_staff ON staff_sessions (tenant_id, staff_id, last_seen DESC)")
    op.execute("CREATE INDEX staff_links_by_staff ON staff_links (tenant_id, staff_id)")
    op.execute("CREATE INDEX sign_in_failures_by_time ON sign_in_failures (tenant_id, last_at)")


def downgrade() -> None:
    raise NotImplementedError("frontdesk's migrations only go forward: restore a backup instead.")
