"""The one error format, and times as the API writes them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from frontdesk.core.clock import SystemClock, iso
from frontdesk.core.errors import FieldError, FrontdeskError, Invalid, Unavailable
from frontdesk.server.errors import ErrorRenderer


class Secret(FrontdeskError):
    error_code = "SECRET"


def test_production_hides_our_failures_but_not_the_callers() -> None:
    development, production = (ErrorRenderer(SystemClock(), hide_details=hide) for hide in (False, True))
    ours = Secret("the password file is at /etc/x")
    assert "password" in development.body(ours, "c")["detail"]
    assert "password" not in production.body(ours, "c")["detail"]
    assert production.body(ours, "c")["error_code"] == "SECRET"
    theirs = Invalid("message: must not be blank", errors=[FieldError("message", "must not be blank")])
    assert production.body(theirs, "c")["detail"] == "message: must not be blank"
    assert production.body(Unavailable("Try again.", retry_after=1.2), "c")["retry_after"] == 2


def family(kind: type[FrontdeskError]) -> Iterator[type[FrontdeskError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from family(child)


@pytest.mark.parametrize("kind", sorted(set(family(FrontdeskError)), key=lambda kind: kind.__qualname__))
def test_no_failure_of_ours_tells_its_details_in_production(kind: type[FrontdeskError]) -> None:
    """But for 503: its sentences are our own, and tell when to come back."""
    error = FrontdeskError.__new__(kind)
    FrontdeskError.__init__(error, "planted /etc/x")
    told = str(ErrorRenderer(SystemClock(), hide_details=True).body(error, "c"))
    assert ("planted" in told) == (kind.status < 500 or kind.status == 503)


def test_a_pause_is_in_the_body_and_in_the_header() -> None:
    response = ErrorRenderer(SystemClock(), hide_details=True).response(Unavailable("Later.", retry_after=0.1), "c-1")
    body = json.loads(bytes(response.body))
    assert (response.status_code, response.headers["retry-after"], body["retry_after"]) == (503, "1", 1)
    assert body["correlation_id"] == "c-1"


def test_times_are_in_utc_with_z() -> None:
    moment = datetime(2026, 11, 21, 10, 0, tzinfo=timezone(timedelta(hours=2)))
    assert iso(moment) == "2026-11-21T08:00:00.000Z"
    assert SystemClock().now().tzinfo is UTC
