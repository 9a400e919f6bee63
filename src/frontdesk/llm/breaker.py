"""Circuit breakers: a target that keeps failing is left alone for a while, then tried with one call."""

from enum import StrEnum
from uuid import UUID

import msgspec

from frontdesk.core.clock import Clock


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"  # one probe may pass, or is on its way


class BreakerView(msgspec.Struct, frozen=True):
    """A breaker as health shows it."""

    provider: str
    model: str
    state: BreakerState
    failures: int  # in a row
    retry_in_s: float  # until the probe; 0 when calls may pass
    owner: UUID | None = None  # the tenant whose own key is used; None: the deployment's


class Breaker:
    """Opens at `failures` in a row, refuses for `open_s`, then admits a single probe that decides.

    An admitted call gets a ticket and gives it back with how it went. Tickets of before the last change of state
    decide nothing: a call that began in good times and ends late says nothing of now.
    """

    def __init__(self, clock: Clock, failures: int, open_s: float) -> None:
        self._clock = clock
        self._limit = failures
        self._open_s = open_s
        self._series = 0
        self._opened_at: float | None = None
        self._probing = False
        self.failures = 0
        self.told: BreakerState | None = None  # the state that the metrics show

    @property
    def state(self) -> BreakerState:
        if self._opened_at is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self.retry_in_s > 0 else BreakerState.HALF_OPEN

    @property
    def retry_in_s(self) -> float:
        if self._opened_at is None:
            return 0.0
        return max(0.0, self._opened_at + self._open_s - self._clock.monotonic())

    def admit(self) -> int | None:
        """A ticket, or None: not now."""
        if self.state is BreakerState.CLOSED:
            return self._series
        if self.state is BreakerState.OPEN or self._probing:
            return None
        self._probing = True
        return self._series

    def succeeded(self, ticket: int) -> None:
        if ticket != self._series:
            return
        self.failures = 0
        if self._opened_at is not None:
            self._series += 1
            self._opened_at = None
            self._probing = False

    def failed(self, ticket: int) -> None:
        if ticket != self._series:
            return
        self.failures += 1
        if self.failures >= self._limit or self._opened_at is not None:
            self._series += 1
            self._opened_at = self._clock.monotonic()
            self._probing = False

    def abandoned(self, ticket: int) -> None:
        """The call ended without telling anything of the target's health: another may probe."""
        if ticket == self._series:
            self._probing = False
