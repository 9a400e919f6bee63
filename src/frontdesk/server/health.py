"""Health: alive, ready, and each component by itself."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter
from typing import Any  # a component's detail is its own

import msgspec
import structlog

from frontdesk.core.errors import FrontdeskError

CHECK_S = 3.0

log = structlog.get_logger()

# Returns a detail to show; raises when the component can't do its work.
Check = Callable[[], Awaitable[Any]]


class Alive(msgspec.Struct, frozen=True):
    status: str
    version: str


class Ready(msgspec.Struct, frozen=True):
    status: str


class NotReady(msgspec.Struct, frozen=True):
    """`reasons` by component."""

    status: str
    reasons: dict[str, str]


class Component(msgspec.Struct, frozen=True):
    """`status` is ok or failed; `detail` is the component's own."""

    status: str
    latency_ms: float
    detail: Any


FORMS = (Alive, Component, NotReady, Ready)


class Health:
    """Checks by component; `needed` ones decide whether the server is ready."""

    def __init__(self, needed: Mapping[str, Check], useful: Mapping[str, Check]) -> None:
        self._needed = needed
        self._useful = useful

    async def ready(self) -> dict[str, str]:
        """The reasons why it can't answer now, by component; empty when it can."""
        found = await asyncio.gather(*(_look(check) for check in self._needed.values()))
        return {name: result.detail for name, result in zip(self._needed, found, strict=True) if result.status != "ok"}

    async def detailed(self) -> dict[str, Component]:
        checks = dict(self._needed) | dict(self._useful)
        found = await asyncio.gather(*(_look(check) for check in checks.values()))
        return dict(zip(checks, found, strict=True))


async def _look(check: Check) -> Component:
    begun = perf_counter()
    detail: Any
    try:
        async with asyncio.timeout(CHECK_S):
            detail, status = await check(), "ok"
    except FrontdeskError as error:
        detail, status = error.detail, "failed"
    except TimeoutError:
        detail, status = f"no answer within {CHECK_S:.0f} s", "failed"
    except Exception as error:  # noqa: BLE001 - the edge: a health check tells of any failure, it never is one
        log.warning("health.failed", error=type(error).__name__)
        detail, status = type(error).__name__, "failed"
    return Component(status, round((perf_counter() - begun) * 1000, 2), detail)
