"""The ledger: one row for every attempt at a provider, however it ended."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from frontdesk.llm.types import ProviderFailure

OK = "ok"
CACHED = "cache"
ERROR = "error"  # a fault of ours
CANCELLED = "cancelled"  # the caller went away; what it had cost by then is estimated


class LedgerRow(msgspec.Struct, frozen=True):
    """`outcome`: ok, cache, cancelled, error, or the failure's code without `PROVIDER_`, in small letters.

    `cost_usd` is None when the price of the model is not known; `first_token_ms` when no text came.
    """

    id: UUID
    turn_id: UUID | None
    purpose: str
    alias: str
    provider: str
    model: str
    outcome: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    estimated: bool
    cost_usd: Decimal | None
    latency_ms: int
    first_token_ms: int | None
    created_at: datetime


def outcome_of(failure: ProviderFailure) -> str:
    return failure.error_code.removeprefix("PROVIDER_").lower()
