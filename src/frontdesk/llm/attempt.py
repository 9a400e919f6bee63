"""One attempt at one target: its time, its text so far, and the ledger row that it ends with."""

from uuid import UUID

import msgspec

from frontdesk.core.clock import Clock
from frontdesk.core.ids import new_id
from frontdesk.core.limits import Limits
from frontdesk.llm import tokens
from frontdesk.llm.ledger import CACHED, CANCELLED, LedgerRow
from frontdesk.llm.metrics import LLMMetrics
from frontdesk.llm.prices import Prices
from frontdesk.llm.types import Alias, LLMRequest, ProviderFailure, ProviderTimeout, Target, Usage
from frontdesk.privacy.models import Entity

# The ledger's columns are 32 bits wide, and a vendor's figures are a vendor's.
_MOST_TOKENS = 2**31 - 1


class Call(msgspec.Struct):
    """Who calls, for what, within which bounds. `rows` grows by one for every attempt, however it ends.

    Rows are complete when the call has ended. The caller stores them: in the transaction of its turn.
    """

    tenant_id: UUID
    alias: Alias
    purpose: str  # agent, route, summary …: a closed set
    turn_id: UUID | None = None
    version: int = 0  # of the tenant's definitions
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    limits: Limits = Limits()  # of which this is what may be spent
    cache_s: float = 0  # how long an answer may be given again to the very same request; 0: not at all
    hides: frozenset[Entity] = frozenset()  # what of the texts providers that are not trusted must not read
    rows: list[LedgerRow] = []


class Attempt:
    """Begins when it is made; `end` writes its row, once."""

    def __init__(
        self, call: Call, target: Target, request: LLMRequest, clock: Clock, prices: Prices, metrics: LLMMetrics
    ) -> None:
        self.call = call
        self.target = target
        self.request = request
        self._clock = clock
        self._prices = prices
        self._metrics = metrics
        self._began = clock.monotonic()
        self._first_token_s: float | None = None
        self._pieces: list[str] = []

    @property
    def has_spoken(self) -> bool:
        return bool(self._pieces)

    def heard(self, text: str) -> None:
        if self._first_token_s is None:
            self._first_token_s = self._clock.monotonic() - self._began
        self._pieces.append(text)

    def failed(self, failure: ProviderFailure, outcome: str) -> Usage:
        """A refusal costs nothing; a stream that broke, or silence after the vendor took the request, does."""
        is_billed = self.has_spoken or isinstance(failure, ProviderTimeout)
        return self.end(outcome, self._estimate() if is_billed else Usage())

    def cancelled(self) -> Usage:
        return self.end(CANCELLED, self._estimate())

    def end(self, outcome: str, usage: Usage) -> Usage:
        """Writes row and metrics; gives back the usage as it was written."""
        usage = _sane(usage)
        target, call = self.target, self.call
        now = self._clock.now()
        lasted_s = self._clock.monotonic() - self._began
        cost = self._prices.cost(target.provider, target.model, usage, now)
        first_ms = None if self._first_token_s is None else round(self._first_token_s * 1000)
        call.rows.append(
            LedgerRow(
                id=new_id(),
                turn_id=call.turn_id,
                purpose=call.purpose,
                alias=call.alias.name,
                provider=target.provider,
                model=target.model,
                outcome=outcome,
                input_tokens=usage.input_tokens,
                cached_tokens=usage.cached_tokens,
                output_tokens=usage.output_tokens,
                reasoning_tokens=usage.reasoning_tokens,
                estimated=usage.estimated,
                cost_usd=cost,
                latency_ms=round(lasted_s * 1000),
                first_token_ms=first_ms,
                created_at=now,
            )
        )
        timed_s = None if outcome == CACHED else lasted_s
        self._metrics.ended(call.tenant_id, target, outcome, usage, cost, timed_s, self._first_token_s)
        return usage

    def _estimate(self) -> Usage:
        return tokens.estimated(self.request, "".join(self._pieces))


def _sane(usage: Usage) -> Usage:
    """Within the ledger's columns, and no part larger than its whole."""
    whole_input, whole_output = usage.input_tokens, usage.output_tokens
    if (
        0 <= usage.cached_tokens <= whole_input <= _MOST_TOKENS
        and 0 <= usage.cache_write_tokens <= whole_input - usage.cached_tokens
        and 0 <= usage.reasoning_tokens <= whole_output <= _MOST_TOKENS
    ):
        return usage  # as nearly always
    input_tokens = _bounded(usage.input_tokens, _MOST_TOKENS)
    output_tokens = _bounded(usage.output_tokens, _MOST_TOKENS)
    cached_tokens = _bounded(usage.cached_tokens, input_tokens)
    return Usage(
        input_tokens=input_tokens,
        cached_tokens=cached_tokens,
        output_tokens=output_tokens,
        reasoning_tokens=_bounded(usage.reasoning_tokens, output_tokens),
        estimated=usage.estimated,
        cache_write_tokens=_bounded(usage.cache_write_tokens, input_tokens - cached_tokens),
    )


def _bounded(count: int, most: int) -> int:
    return min(max(count, 0), most)
