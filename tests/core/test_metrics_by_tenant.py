"""Metrics of many tenants, and of the models that they name, take no more room than of some, and lose no count."""

from uuid import UUID

from prometheus_client import CollectorRegistry

from frontdesk.llm.breaker import BreakerState
from frontdesk.llm.metrics import MOST_MODELS, LLMMetrics
from frontdesk.llm.types import Target, Usage
from frontdesk.telemetry.by_tenant import MOST, OTHERS
from frontdesk.telemetry.metrics import Metrics


def test_tenants_beyond_the_first_hundred_are_counted_together() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    for number in range(MOST + 50):
        for _ in range(2):
            metrics.turns.labels(f"t{number}", "completed").inc()
            metrics.turn_seconds.labels(f"t{number}").observe(0.1)

    def turns(tenant: str) -> float | None:
        return registry.get_sample_value("frontdesk_turns_total", {"tenant": tenant, "outcome": "completed"})

    assert [turns("t0"), turns(f"t{MOST - 1}"), turns(f"t{MOST}"), turns(OTHERS)] == [2, 2, None, 100]
    assert registry.get_sample_value("frontdesk_turn_duration_seconds_count", {"tenant": OTHERS}) == 100


def test_models_beyond_the_first_are_counted_together() -> None:
    registry = CollectorRegistry()
    metrics = LLMMetrics(registry)
    for number in range(MOST_MODELS + 50):
        target = Target("openai", f"m{number}")
        metrics.ended(UUID(int=1), target, "ok", Usage(), None, 0.1, 0.05)
        metrics.breaker(target, BreakerState.CLOSED)

    def calls(model: str) -> float | None:
        labels = {"provider": "openai", "model": model, "outcome": "ok"}
        return registry.get_sample_value("frontdesk_llm_calls_total", labels)

    assert [calls(f"m{MOST_MODELS - 1}"), calls(f"m{MOST_MODELS}"), calls(OTHERS)] == [1, None, 50]
    told = {sample.labels["model"] for metric in registry.collect() for sample in metric.samples}
    assert len(told) == MOST_MODELS + 1
