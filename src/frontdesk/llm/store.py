"""The ledger in PostgreSQL."""

from collections.abc import Sequence

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
