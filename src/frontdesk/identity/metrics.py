"""What `/metrics` tells of staff: sign-ins, their ends, and mail."""

from prometheus_client import CollectorRegistry, Counter


class IdentityMetrics:
    """Made once, by the composition root, on the process's registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.sign_ins = Counter(
            "frontdesk_sign_ins",
            "Attempts of staff to sign in: signed_in, wrong, second_factor, locked",
            ("way", "outcome"),
            registry=registry,
        )
        self.sessions = Counter(
            "frontdesk_staff_sessions", "Sign-ins that ended: by staff, or for a refresh token used twice",
            ("outcome",), registry=registry,
        )  # fmt: skip
        self.mails = Counter("frontdesk_mails", "Mails: sent, failed, dropped", ("outcome",), registry=registry)
