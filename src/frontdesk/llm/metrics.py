"""What `/metrics` tells of calls to providers."""

from decimal import Decimal
from uuid import UUID

from cachetools import LRUCache
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from frontdesk.llm.breaker import BreakerState
from frontdesk.llm.types import Target, Usage

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60)

_TOKENS = ("input", "cached", "output", "reasoning")
_STATES = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}


class LLMMetrics:
    """Made once, by the composition root, on the process's registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        target = ("provider", "model")
        self.calls = Counter(
            "frontdesk_llm_calls", "Attempts at providers by outcome", (*target, "outcome"), registry=registry
        )
        self.seconds = Histogram(
            "frontdesk_llm_call_duration_seconds", "To the whole answer or the failure", target, buckets=_SECONDS,
            registry=registry,
        )  # fmt: skip
        self.first_token_seconds = Histogram(
            "frontdesk_llm_first_token_seconds", "To the first text of a stream", target, buckets=_SECONDS,
            registry=registry,
        )  # fmt: skip
        self.tokens = Counter(
            "frontdesk_llm_tokens", "input includes cached, output includes reasoning", ("tenant", *target, "kind"),
            registry=registry,
        )  # fmt: skip
        self.cost = Counter(
            "frontdesk_llm_cost_usd", "Where the price is known", ("tenant", *target), registry=registry
        )
        self.limited = Counter(
            "frontdesk_llm_limited", "Calls beyond the tenant's allowance", ("tenant", "of"), registry=registry
        )
        self.cache = Counter(
            "frontdesk_llm_cache", "Look-ups in the cache of answers", ("tenant", "outcome"), registry=registry
        )
        self.breakers = Gauge("frontdesk_llm_breaker_state", "0 closed, 1 half open, 2 open", target, registry=registry)

        # Looking children up by their labels costs more than counting: they are kept where calls are made.
        self._used: LRUCache[tuple[UUID, str, str], tuple[Counter, ...]] = LRUCache(2000)
        self._told: LRUCache[tuple[str, str], BreakerState] = LRUCache(2000)

    def breaker(self, target: Target, state: BreakerState) -> None:
        key = (target.provider, target.model)
        if self._told.get(key) is not state:
            self._told[key] = state
            self.breakers.labels(*key).set(_STATES[state])

    def used(self, tenant_id: UUID, target: Target, usage: Usage, cost: Decimal | None) -> None:
        """What an attempt used, by tenant."""
        key = (tenant_id, target.provider, target.model)
        kept = self._used.get(key)
        if kept is None:
            labels = (str(tenant_id), target.provider, target.model)
            kinds = (self.tokens.labels(*labels, kind) for kind in _TOKENS)
            kept = self._used[key] = (*kinds, self.cost.labels(*labels))
        counts = (usage.input_tokens, usage.cached_tokens, usage.output_tokens, usage.reasoning_tokens, cost)
        for counter, count in zip(kept, counts, strict=True):
            if count:
                counter.inc(float(count))
