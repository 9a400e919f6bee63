"""What `/metrics` tells of calls to providers."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from frontdesk.llm.breaker import BreakerState

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60)

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

    def breaker(self, provider: str, model: str, state: BreakerState) -> None:
        self.breakers.labels(provider, model).set(_STATES[state])
