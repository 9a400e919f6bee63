"""What `/metrics` tells of tools."""

from prometheus_client import CollectorRegistry, Histogram

from frontdesk.telemetry.by_tenant import TenantCounter

_SECONDS = (0.001, 0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30)


class ToolMetrics:
    """Made once, by the composition root."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls = TenantCounter(
            "frontdesk_tool_calls", "Tool calls ended", ("tenant", "kind", "status"), registry=registry
        )
        self.seconds = Histogram(
            "frontdesk_tool_duration_seconds", "Time of a tool call", ("kind",), buckets=_SECONDS, registry=registry
        )
