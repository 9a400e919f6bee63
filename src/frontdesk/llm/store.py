"""The ledger in PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

import msgspec

from frontdesk.db import TenantScope
from frontdesk.llm.ledger import LedgerRow


async def insert_calls(scope: TenantScope, rows: Sequence[LedgerRow]) -> None:
    """All of `rows`, or nothing; repeated with the same rows: as the first time."""
    if not rows:
        return
    query = """
        INSERT INTO llm_calls (tenant_id, id, turn_id, purpose, alias, provider, model, outcome, input_tokens,
                               cached_tokens, output_tokens, reasoning_tokens, estimated, cost_usd, latency_ms,
                               first_token_ms, created_at)
        SELECT $1, c.*
          FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::int[],
                      $10::int[], $11::int[], $12::int[], $13::bool[], $14::numeric[], $15::int[], $16::int[],
                      $17::timestamptz[]) AS c
            ON CONFLICT (tenant_id, id) DO NOTHING
    """
    await scope.execute(
        query,
        scope.tenant_id,
        [row.id for row in rows],
        [row.turn_id for row in rows],
        [row.purpose for row in rows],
        [row.alias for row in rows],
        [row.provider for row in rows],
        [row.model for row in rows],
        [row.outcome for row in rows],
        [row.input_tokens for row in rows],
        [row.cached_tokens for row in rows],
        [row.output_tokens for row in rows],
        [row.reasoning_tokens for row in rows],
        [row.estimated for row in rows],
        [row.cost_usd for row in rows],
        [row.latency_ms for row in rows],
        [row.first_token_ms for row in rows],
        [row.created_at for row in rows],
    )


class By(StrEnum):
    """What usage is summed up by."""

    DAY = "day"  # in UTC
    MODEL = "model"  # provider/model
    AGENT = "agent"  # those who answered the turn, joined by `+`; `-` for what was of no answered turn
    PURPOSE = "purpose"


class Usage(msgspec.Struct, frozen=True):
    """Sums of attempts. `cost_usd` leaves out those whose price is not known: `unpriced` of them."""

    key: str
    calls: int
    failed: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cost_usd: Decimal
    unpriced: int


_KEYS = {
    By.DAY: "to_char(c.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
    By.MODEL: "c.provider || '/' || c.model",
    By.AGENT: "coalesce(nullif(array_to_string(t.agents, '+'), ''), '-')",
    By.PURPOSE: "c.purpose",
}
# Ids are made a little before or after the row's time: no call takes as long.
_SLACK = timedelta(hours=1)


async def usage(
    scope: TenantScope, by: By, since: datetime, until: datetime, after: str | None, limit: int
) -> list[Usage]:
    """Sums of the calls from `since` to before `until`, by key; those above `after`, at most `limit`."""
    query = f"""
        -- Ids are in the order of time: they find the rows without an index of their own.
        WITH called AS (
            SELECT ({_KEYS[by]}) COLLATE "C" AS key, c.*
              FROM llm_calls AS c
              LEFT JOIN turns AS t ON t.tenant_id = c.tenant_id AND t.id = c.turn_id
             WHERE c.tenant_id = $1
               AND c.id BETWEEN $2 AND $3
               AND c.created_at >= $4
               AND c.created_at < $5)
        SELECT key, count(*) AS calls, count(*) FILTER (WHERE outcome NOT IN ('ok', 'cache')) AS failed,
               sum(input_tokens) AS input_tokens, sum(cached_tokens) AS cached_tokens,
               sum(output_tokens) AS output_tokens, sum(reasoning_tokens) AS reasoning_tokens,
               coalesce(sum(cost_usd), 0) AS cost_usd, count(*) FILTER (WHERE cost_usd IS NULL) AS unpriced
          FROM called
         WHERE $6::text IS NULL
            OR key > $6
         GROUP BY key
         ORDER BY key
         LIMIT $7
    """
    first, last = _first_id(since - _SLACK), _first_id(until + _SLACK)
    rows = await scope.fetch(query, scope.tenant_id, first, last, since, until, after, limit)
    return [Usage(**dict(row)) for row in rows]


def _first_id(moment: datetime) -> UUID:
    """The smallest UUID of version 7 of a moment: 48 bits of milliseconds first (RFC 9562)."""
    return UUID(int=(max(0, int(moment.timestamp() * 1000)) << 80) | (7 << 76))
