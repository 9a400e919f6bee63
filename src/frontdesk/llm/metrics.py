"""What `/metrics` tells of calls to providers."""

from decimal import Decimal
from functools import lru_cache, partial
from uuid import UUID

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from frontdesk.llm.breaker import BreakerState
from frontdesk.llm.types import Target, Usage
from frontdesk.telemetry.by_tenant import OTHERS, TenantCounter

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60)

# Tenants name the models: those that come first are told apart, the rest of a provider's are counted together.
MOST_MODELS = 200

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
        self.tokens = TenantCounter(
            "frontdesk_llm_tokens", "input includes cached, output includes reasoning", ("tenant", *target, "kind"),
            registry=registry,
        )  # fmt: skip
        self.cost = TenantCounter(
            "frontdesk_llm_cost_usd", "Where the price is known", ("tenant", *target), registry=registry
        )
        self.limited = TenantCounter(
            "frontdesk_llm_limited", "Calls beyond the tenant's allowance", ("tenant", "of"), registry=registry
        )
        self.cache = TenantCounter(
            "frontdesk_llm_cache", "Look-ups in the cache of answers", ("tenant", "outcome"), registry=registry
        )
        self.breakers = Gauge("frontdesk_llm_breaker_state", "0 closed, 1 half open, 2 open", target, registry=registry)

        self._told: set[tuple[str, str]] = set()
        # Looking children up by their labels costs more than counting: they are kept where calls are made.
        self._children = lru_cache(10_000)(partial(_Children, self))

    def breaker(self, target: Target, state: BreakerState) -> None:
        if (model := self.model_told(target.provider, target.model)) != OTHERS:  # of many there is no one state
            self.breakers.labels(target.provider, model).set(_STATES[state])

    def model_told(self, provider: str, model: str) -> str:
        """What a model is called in labels."""
        if (provider, model) not in self._told:
            if len(self._told) >= MOST_MODELS:
                return OTHERS
            self._told.add((provider, model))
        return model

    def ended(
        self,
        tenant_id: UUID,
        target: Target,
        outcome: str,
        usage: Usage,
        cost: Decimal | None,
        lasted_s: float | None,
        first_token_s: float | None,
    ) -> None:
        """An attempt; times are None where there is nothing to time."""
        kept = self._children(tenant_id, target.provider, target.model, outcome)
        kept.calls.inc()
        if lasted_s is not None:
            kept.seconds.observe(lasted_s)
        if first_token_s is not None:
            model = self.model_told(target.provider, target.model)
            self.first_token_seconds.labels(target.provider, model).observe(first_token_s)
        counts = (usage.input_tokens, usage.cached_tokens, usage.output_tokens, usage.reasoning_tokens, cost)
        for counter, count in zip(kept.used, counts, strict=True):
            if count:
                counter.inc(float(count))


class _Children:
    """What counts the attempts of one tenant at one target that end in one way."""

    def __init__(self, metrics: LLMMetrics, tenant_id: UUID, provider: str, model: str, outcome: str) -> None:
        model = metrics.model_told(provider, model)
        labels = (str(tenant_id), provider, model)
        self.calls = metrics.calls.labels(provider, model, outcome)
        self.seconds = metrics.seconds.labels(provider, model)
        self.used = (*(metrics.tokens.labels(*labels, kind) for kind in _TOKENS), metrics.cost.labels(*labels))
