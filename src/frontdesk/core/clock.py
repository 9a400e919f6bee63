"""Time as a part that is handed in, so that tests can move it."""

from datetime import UTC, datetime
from time import monotonic
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The moment, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards; only differences mean something."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    # The library's own function: it is asked dozens of times a turn.
    monotonic = staticmethod(monotonic)


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC with `Z` and milliseconds, the one form of times in the API."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
