"""Keys that tokens are signed with.

Revision: 0015
"""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    # Of the whole deployment. public: a JWK (RFC 7517). private: a JWK, sealed.
    op.execute(
        """
        CREATE TABLE signing_keys (
            kid text PRIMARY KEY, public jsonb NOT NULL, private bytea NOT NULL,
            signs_from timestamptz NOT NULL DEFAULT now(), created_at timestamptz NOT NULL DEFAULT now())
        """
    )
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON signing_keys TO frontdesk_app")


def downgrade() -> None:
    raise NotImplementedError("frontdesk's migrations only go forward: restore a backup instead.")
