"""What was spent, in PostgreSQL: a running sum that the ledger's trigger keeps (migration `spend`)."""

from datetime import date
from decimal import Decimal

from frontdesk.db import TenantScope


async def spent(scope: TenantScope, today: date) -> tuple[Decimal, Decimal]:
    """(today, this month) in USD, by the days of UTC."""
    query = """
        SELECT coalesce(sum(usd) FILTER (WHERE day = $2), 0) AS today, coalesce(sum(usd), 0) AS month
          FROM spend
         WHERE tenant_id = $1
           AND day BETWEEN $3 AND $2
    """
    row = await scope.fetchrow(query, scope.tenant_id, today, today.replace(day=1))
    return row["today"], row["month"]


async def is_told(scope: TenantScope, period: str, state: str) -> bool:
    query = "SELECT 1 FROM budget_warnings WHERE tenant_id = $1 AND period = $2 AND state = $3"
    return await scope.fetchval(query, scope.tenant_id, period, state) is not None


async def mark_told(scope: TenantScope, period: str, state: str) -> bool:
    """False when it was already."""
    query = """
           INSERT INTO budget_warnings (tenant_id, period, state)
           VALUES ($1, $2, $3)
      ON CONFLICT DO NOTHING
        RETURNING 1
    """
    return await scope.fetchval(query, scope.tenant_id, period, state) is not None
