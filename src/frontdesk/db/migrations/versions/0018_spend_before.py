"""What was spent before the ledger had its trigger.

Revision: 0018
"""

from alembic import op

revision = "0018"
down_revision = "0017"

_SHARD = 8  # beyond the trigger's: nobody waits for these rows


def upgrade() -> None:
    # One snapshot sees a call and what the trigger added for it together or not at all: the rest is from before.
    op.execute(
        f"""
        INSERT INTO spend (tenant_id, day, shard, usd)
        SELECT c.tenant_id, c.day, {_SHARD}, c.usd - coalesce(s.usd, 0)
          FROM (SELECT tenant_id, (created_at AT TIME ZONE 'UTC')::date AS day, sum(cost_usd) AS usd
                  FROM llm_calls
                 WHERE cost_usd > 0
                 GROUP BY 1, 2) AS c
          LEFT JOIN (SELECT tenant_id, day, sum(usd) AS usd FROM spend GROUP BY 1, 2) AS s
                 ON s.tenant_id = c.tenant_id AND s.day = c.day
         WHERE c.usd > coalesce(s.usd, 0)
        """
    )


def downgrade() -> None:
    raise NotImplementedError("frontdesk's migrations only go forward: restore a backup instead.")
