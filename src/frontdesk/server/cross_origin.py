"""Pages of other sites: which may read and change something here. CORS (https://fetch.spec.whatwg.org/#http-cors-protocol).

The deployment names origins for every route, a tenant those of its widget for its own routes alone. Cookies never come
along from other sites (SameSite=Strict), so nothing is allowed for credentials of that kind.
"""

import re
from collections.abc import Awaitable, Callable, Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from frontdesk.core.errors import CrossSite, FrontdeskError, TenantNotFound
from frontdesk.server.errors import ErrorRenderer

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
METHODS = "GET, POST, PUT, PATCH, DELETE"
HEADERS = "Authorization, Content-Type, Idempotency-Key, If-Match, Last-Event-ID, X-API-Key, X-Correlation-ID, X-Tenant"
EXPOSED = "ETag, Retry-After, X-Correlation-ID"
PREFLIGHT_S = 600

# Paths that belong to one tenant; `admin`, `auth` and the like are no slugs (apply/forms.py), so they are nobody's.
_TENANT = re.compile(r"^/api/(?:public/widgets/)?([^/]+)/")

OriginsOf = Callable[[str | None], Awaitable[Collection[str]]]


class CrossOrigin:
    """Plain ASGI. Unsafe requests of pages not allowed are refused; answers tell browsers who may read them."""

    def __init__(self, app: ASGIApp, origins: Collection[str], origins_of: OriginsOf, errors: ErrorRenderer) -> None:
        """`origins`: of the deployment, `*` is all of them. `origins_of`: a tenant's (None: the default one's)."""
        self._app = app
        self._origins = frozenset(origins)
        self._origins_of = origins_of
        self._errors = errors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if not _is_foreign(headers):
            await self._app(scope, receive, send)
            return
        try:
            origin = headers.get("origin", "")
            is_allowed = await self._allows(origin, scope["path"])
            if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
                if not is_allowed:
                    raise _refused()
                await Response(status_code=204, headers=_preflight(origin))(scope, receive, send)
                return
            if not is_allowed and scope["method"] not in SAFE_METHODS:
                raise _refused()
        except FrontdeskError as error:
            scope["state"]["error"] = error
            await self._errors.response(error, scope["state"]["correlation_id"])(scope, receive, send)
            return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer.add_vary_header("Origin")
                if is_allowed:
                    answer["Access-Control-Allow-Origin"] = origin or "*"
                    answer["Access-Control-Expose-Headers"] = EXPOSED
            await send(message)

        await self._app(scope, receive, told)

    async def _allows(self, origin: str, path: str) -> bool:
        if "*" in self._origins or origin in self._origins:
            return True
        found = _TENANT.match(path)
        try:
            return origin in await self._origins_of(found[1] if found else None)
        except TenantNotFound:
            return False


def _is_foreign(headers: Headers) -> bool:
    """Whether a page of another origin asks, a sister of ours included. Programs send neither header."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()


def _preflight(origin: str) -> dict[str, str]:
    return {
        "Access-Control-Allow-Origin": origin or "*",
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": HEADERS,
        "Access-Control-Max-Age": str(PREFLIGHT_S),
        "Vary": "Origin",
    }


def _refused() -> CrossSite:
    return CrossSite(
        "Pages of this origin may change nothing here. "
        "Add it to the tenant's `widget.origins`, or to FRONTDESK_CORS_ORIGINS."
    )
