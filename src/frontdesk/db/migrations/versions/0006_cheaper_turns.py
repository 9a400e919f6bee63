"""Cheaper turns: no constraints that are parsed at each write, and rows of a turn's end as PostgreSQL takes them.

Revision: 0006
"""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    # PostgreSQL reads a CHECK's text anew in each statement that writes: an eighth of what a turn took. The functions
    # write their own words, and a turn's state, the one that comes from outside, is a closed set there.
    op.execute("ALTER TABLE conversations DROP CONSTRAINT conversations_state_check")
    op.execute("ALTER TABLE conversations DROP CONSTRAINT conversations_owner_check")
    op.execute("ALTER TABLE turns DROP CONSTRAINT turns_state_check")
    op.execute("ALTER TABLE messages DROP CONSTRAINT messages_role_check")
    # What complete_turn takes, in the order of its columns. llm_calls: `LedgerRow`.
    op.execute(
        """
        CREATE TYPE step_row AS (
            number int, agent text, kind text, name text, status text, input bytea, output bytea, key text,
            duration_ms int)
        """
    )
    op.execute(
        """
        CREATE TYPE call_row AS (
            id uuid, turn_id uuid, purpose text, alias text, provider text, model text, outcome text, input_tokens int,
            cached_tokens int, output_tokens int, reasoning_tokens int, estimated boolean, cost_usd numeric,
            latency_ms int, first_token_ms int, created_at timestamptz)
        """
    )
    op.execute("CREATE TYPE event_row AS (event_id uuid, topic text, type text, payload bytea)")


def downgrade() -> None:
    raise NotImplementedError("frontdesk's migrations only go forward: restore a backup instead.")
