"""What `/metrics` tells of turns, requests, the log and the process. Labels are tenants and closed sets only."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from frontdesk.telemetry.by_tenant import TenantCounter, TenantHistogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60)


class Metrics:
    """Made once, by the composition root, on its own registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.requests = Counter(
            "frontdesk_requests", "HTTP requests by route and status class", ("route", "status"), registry=registry
        )
        self.request_seconds = Histogram(
            "frontdesk_request_duration_seconds", "Time to the end of the answer", ("route",), buckets=_SECONDS,
            registry=registry,
        )  # fmt: skip
        self.messages = TenantCounter(
            "frontdesk_messages", "Messages accepted and kept", ("tenant",), registry=registry
        )
        self.turns = TenantCounter("frontdesk_turns", "Turns ended", ("tenant", "outcome"), registry=registry)
        self.turn_seconds = TenantHistogram(
            "frontdesk_turn_duration_seconds",
            "From accepted to ended",
            ("tenant",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.stages = TenantCounter(
            "frontdesk_routing_decisions", "Decisions by stage", ("tenant", "stage"), registry=registry
        )
        # Read off the database (conversations/feedback.py): the same on every server.
        self.feedback = Gauge(
            "frontdesk_feedback", "Verdicts on decisions that stand", ("tenant", "verdict"), registry=registry
        )
        self.intent_accuracy = Gauge(
            "frontdesk_intent_accuracy", "Share of the verdicts that say `right`", ("tenant",), registry=registry
        )
        self.turns_running = Gauge("frontdesk_turns_running", "Turns that this process runs", registry=registry)
        self.turns_recovered = Counter("frontdesk_turns_recovered", "Turns taken from a dead worker", registry=registry)
        self.tasks = Gauge("frontdesk_tasks", "Tasks of the event loop", registry=registry)
        self.streams_open = Gauge("frontdesk_streams_open", "Connected streams", registry=registry)
        self.events_read = Counter(
            "frontdesk_events_read", "Events handled", ("consumer", "outcome"), registry=registry
        )
        self.cache = Counter("frontdesk_cache", "Look-ups in caches", ("cache", "outcome"), registry=registry)
        self.database_connections = Gauge(
            "frontdesk_database_connections", "Connections of the pool", ("state",), registry=registry
        )
        self.reads = Counter(
            "frontdesk_reads", "Reads that may lag: replica, primary, or fallback while the replica is away",
            ("source",), registry=registry,
        )  # fmt: skip
        self.replica_lag = Gauge("frontdesk_replica_lag_seconds", "How far the replica is behind", registry=registry)
        self.database_restarts = Gauge(
            "frontdesk_database_restarts", "Restarts of the embedded server", registry=registry
        )
