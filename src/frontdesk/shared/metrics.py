"""What `/metrics` tells of Redis, and of what went on without it."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class SharedMetrics:
    """Made once, by the composition root, on the process's registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.up = Gauge("frontdesk_redis_up", "1 while Redis answers", registry=registry)
        self.lost = Counter("frontdesk_redis_lost", "Times that Redis stopped answering", registry=registry)
        self.without = Counter(
            "frontdesk_redis_without", "Uses that went on without Redis, by what for", ("use",), registry=registry
        )
        self.cache = Counter(
            "frontdesk_shared_cache", "Look-ups in the shared cache: hit, miss, away", ("cache", "outcome"),
            registry=registry,
        )  # fmt: skip
