"""What a tenant has spent by day: a running sum of the ledger, so that a budget's check reads a few rows.

Revision: 0014
"""

from alembic import op

revision = "0014"
down_revision = "0013"

_TABLES = {
    # shard: turns that end together must not wait for one row.
    "spend": """
        tenant_id uuid NOT NULL, day date NOT NULL, shard int NOT NULL, usd numeric(18, 9) NOT NULL,
        PRIMARY KEY (tenant_id, day, shard)""",
    # Which budgets' ends the log has told of. period: a day or a month.
    "budget_warnings": """
        tenant_id uuid NOT NULL, period text NOT NULL, state text NOT NULL, at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, period, state)""",
}


def upgrade() -> None:
    for table, columns in _TABLES.items():
        op.execute(f"CREATE TABLE {table} ({columns})")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant ON {table} USING (tenant_id = current_setting('app.tenant_id')::uuid)")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO frontdesk_app")
    # A trigger, so that no writer of the ledger can forget it, older servers' among them. Rows that a repeated write
    # leaves out don't fire it, nor do calls that cost nothing. All of a turn's rows are of one shard: two turns can't
    # wait for each other.
    op.execute(
        """
        CREATE FUNCTION add_to_spend() RETURNS trigger
        LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO spend AS s (tenant_id, day, shard, usd)
            VALUES (NEW.tenant_id, (NEW.created_at AT TIME ZONE 'UTC')::date,
                    get_byte(uuid_send(coalesce(NEW.turn_id, NEW.id)), 15) & 7, NEW.cost_usd)
                ON CONFLICT (tenant_id, day, shard) DO UPDATE SET usd = s.usd + EXCLUDED.usd;
            RETURN NULL;
        END $$
        """
    )
    # The last, since it waits for all who write to the ledger. What it did not see is summed by `spend_before`.
    op.execute(
        """
        CREATE TRIGGER add_to_spend AFTER INSERT ON llm_calls
            FOR EACH ROW WHEN (NEW.cost_usd > 0) EXECUTE FUNCTION add_to_spend()
        """
    )


def downgrade() -> None:
    raise NotImplementedError("frontdesk's migrations only go forward: restore a backup instead.")
