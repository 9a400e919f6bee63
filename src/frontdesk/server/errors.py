"""The one place where a failure becomes a response."""

from collections.abc import Mapping
from math import ceil
from typing import Any  # a response's body is JSON

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from frontdesk.conversations.models import Failure
from frontdesk.core import json
from frontdesk.core.clock import Clock, iso
from frontdesk.core.errors import (
    FieldError,
    FrontdeskError,
    Invalid,
    Malformed,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    UnsupportedType,
)

_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")

log = structlog.get_logger()


class ErrorRenderer:
    """Renders every failure of every route in the one format."""

    def __init__(self, clock: Clock, *, hide_details: bool) -> None:
        self._clock = clock
        self._hide_details = hide_details

    def body(self, error: FrontdeskError, correlation_id: str) -> dict[str, Any]:
        hidden = self._hide_details and error.status >= 500 and error.status != 503
        body: dict[str, Any] = {
            "detail": unforeseen().detail if hidden else error.detail,
            "error_code": error.error_code,
            "timestamp": iso(self._clock.now()),
            "correlation_id": correlation_id,
            "retry_after": ceil(error.retry_after) if error.retry_after is not None else None,
        }
        if error.errors:
            body["errors"] = [{"field": found.field, "message": found.message} for found in error.errors]
        return body

    def response(self, error: FrontdeskError, correlation_id: str) -> Response:
        headers = {"Retry-After": str(ceil(error.retry_after))} if error.retry_after is not None else None
        content = json.dumps(self.body(error, correlation_id))
        return Response(content, error.status, headers, media_type="application/json")

    def failure(self, failure: Failure) -> dict[str, Any]:
        """A turn that failed, for the `error` event of its stream: its text is the tenant's own words."""
        return {
            "detail": failure.detail,
            "error_code": failure.error_code,
            "timestamp": iso(self._clock.now()),
            "correlation_id": failure.correlation_id,
            "retry_after": None,
        }

    def install(self, app: FastAPI) -> None:
        async def foreseen(request: Request, error: Exception) -> Response:
            assert isinstance(error, FrontdeskError), "installed for this class"
            request.state.error = error
            return self.response(error, request.state.correlation_id)

        async def unreadable(request: Request, error: Exception) -> Response:
            assert isinstance(error, RequestValidationError), "installed for this class"
            return self.response(_invalid(error), request.state.correlation_id)

        async def by_starlette(request: Request, error: Exception) -> Response:
            assert isinstance(error, HTTPException), "installed for this class"
            headers = dict(error.headers or {})
            if error.status_code == 405:
                headers["Allow"] = _allowed(app, request)
            response = self.response(_of_status(error, headers), request.state.correlation_id)
            response.headers.update(headers)
            return response

        async def unforeseen_by_us(request: Request, error: Exception) -> Response:
            return self.response(unforeseen(), request.state.correlation_id)  # the middleware logs it

        app.add_exception_handler(Exception, unforeseen_by_us)
        app.add_exception_handler(FrontdeskError, foreseen)
        app.add_exception_handler(RequestValidationError, unreadable)
        app.add_exception_handler(HTTPException, by_starlette)


def _invalid(error: RequestValidationError) -> Invalid:
    """Path and query parameters that FastAPI refused."""
    found = []
    for problem in error.errors():
        kind, *path = (str(part) for part in problem["loc"])
        message = str(problem["msg"]).removeprefix("Value error, ")
        found.append(FieldError(".".join(path) or kind, message[0].lower() + message[1:]))
    detail = "; ".join(f"{field.field}: {field.message}" for field in found[:5])
    return Invalid(f"The request is not valid: {detail}.", errors=found)


def _allowed(app: FastAPI, request: Request) -> str:
    """The address's methods. Starlette names those of one route, and an address may have several."""
    tried = ((method, dict(request.scope) | {"method": method}) for method in _METHODS)
    return ", ".join(
        method for method, scope in tried if any(route.matches(scope)[0] is Match.FULL for route in app.routes)
    )


def _of_status(error: HTTPException, headers: Mapping[str, str]) -> FrontdeskError:
    match error.status_code:
        case 404:
            return NotFound("There is nothing at this address. /docs lists what there is.")
        case 405:
            return MethodNotAllowed(f"This address takes {headers['Allow']}.")
        case 413:
            return TooLarge("The body is too large.")
        case 415:
            return UnsupportedType("This type of content is not accepted.")
        case status if status < 500:
            return Malformed("The request can't be read.")
        case _:
            return unforeseen()


def unforeseen() -> FrontdeskError:
    """What a caller reads of a failure that nobody foresaw."""
    return FrontdeskError("Something went wrong on our side. The correlation id tells us what.")
