"""Metrics of a thousand tenants take no more room than those of a hundred, and lose no count."""

from prometheus_client import CollectorRegistry

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
