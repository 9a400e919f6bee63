"""What surrounds every request: its correlation id, its count and time, the headers that tell browsers to be careful,
the refusals that are put on record, and the last net for what nobody foresaw."""

import re
from collections.abc import Callable, Collection, Sequence
from time import perf_counter
from uuid import UUID

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from frontdesk.audit import Actor
from frontdesk.channels.addresses import Client, Clients, Network, is_within, parsed
from frontdesk.core.errors import (
    AddressRefused,
    CrossSite,
    Forbidden,
    FrontdeskError,
    TenantNotFound,
    TenantSuspended,
    TlsRequired,
    TokenExpired,
    Unauthenticated,
    UnknownHost,
)
from frontdesk.core.ids import new_id
from frontdesk.identity.models import Principal
from frontdesk.identity.sign_in import SecondFactorNeeded, SignInFailed
from frontdesk.server.errors import ErrorRenderer, unforeseen
from frontdesk.telemetry.metrics import Metrics

# Letters, digits and a few marks, as ids and trace parents have them: nothing that could break a log line.
_SANE = re.compile(rb"^[A-Za-z0-9._:/+=-]{1,100}$")
_PORT = re.compile(r":\d*$")

# What load balancers ask, without TLS.
HEALTH = frozenset({"/health", "/health/ready"})
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})

# Of answers that say nothing of their own about it: no page, so that none may be made of it; kept by nobody. CORS asks
# for its own headers, whatever the resource policy says.
CAREFUL = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    b"cache-control": b"no-store",
}
# Where TLS was used: a year, of this name alone. Others below it are the operator's.
STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=31536000")

# `audit.Tally.count`: the tenant, or None where none is known, who, what, and at which route.
Refused = Callable[[UUID | None, Actor, str, str], None]

# What uvloop says of a connection that ended while it was written to.
_TRANSPORT_GONE = "the handler is closed"

log = structlog.get_logger()


class Surroundings:
    """Plain ASGI, outermost: also what goes wrong in the error handlers is answered in the one format."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Collection[str],
        clients: Clients,
        addresses: Collection[Network],
        errors: ErrorRenderer,
        metrics: Metrics,
        refused: Refused,
        needs_tls: bool = False,
    ) -> None:
        """`hosts`: the names that a request may call the server by. Another name is a page's that was rebound to us.

        `addresses`: from which alone requests are taken, beside this machine's own; none is from anywhere.
        `needs_tls`: what comes from elsewhere must have come by TLS; only whether we are well is told to all.
        """
        self._app = app
        self._hosts = LOOPBACK_NAMES | {host.lower() for host in hosts}
        self._clients = clients
        self._addresses = addresses
        self._errors = errors
        self._metrics = metrics
        self._refused = refused
        self._needs_tls = needs_tls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        correlation_id = _correlation_id(scope)
        client = self._clients.of(scope)
        scope.setdefault("state", {}).update(correlation_id=correlation_id, client=client)
        header = (b"x-correlation-id", correlation_id.encode())
        status = 0
        is_answered = False

        async def answer(message: Message) -> None:
            nonlocal status, is_answered
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _careful(message.get("headers", ()), header, client)
            try:
                await send(message)
            except RuntimeError as error:
                if _TRANSPORT_GONE not in str(error):
                    raise
                raise ClientDisconnect from error
            is_answered = message["type"] == "http.response.body" and not message.get("more_body", False)

        begun = perf_counter()
        try:
            refused = self._refusal(scope, client)
            if refused is None:
                await self._app(scope, receive, answer)
            else:
                scope["state"]["error"] = refused
                await self._errors.response(refused, correlation_id)(scope, receive, answer)
        except ClientDisconnect:
            pass  # gone before its request or our answer was whole: there is nobody to answer
        except Exception:  # the edge: an unforeseen failure is a 500, its traceback stays in the log
            log.exception("request.failed", correlation_id=correlation_id, path=_route(scope))
            if not status:
                response = self._errors.response(unforeseen(), correlation_id)
                await response(scope, receive, answer)
            elif not is_answered:
                raise  # too late for an answer: the connection is cut, and the client sees that
        finally:
            route = _route(scope)
            if (error := scope["state"].get("error")) is not None and _is_denied(error, scope):
                self._tell(error, client, scope, route)
            self._metrics.requests.labels(route, f"{status // 100}xx").inc()
            self._metrics.request_seconds.labels(route).observe(perf_counter() - begun)

    def _tell(self, error: FrontdeskError, client: Client, scope: Scope, route: str) -> None:
        principal: Principal | None = scope["state"].get("principal")
        tenant_id = None if principal is None else principal.tenant_id
        actor = Actor("anonymous", "", client.address) if principal is None else principal.actor(client.address)
        self._refused(tenant_id, actor, f"access.{error.error_code.lower()}", f"route/{scope['method']} {route}")

    def _refusal(self, scope: Scope, client: Client) -> FrontdeskError | None:
        """Why the request goes no further."""
        if self._addresses and not client.is_local:
            address = parsed(client.address)
            if address is None or not is_within(address, self._addresses):
                return AddressRefused(f"The server takes no requests from {client.address}.")
        if _host(scope) not in self._hosts:
            return UnknownHost("The server does not go by this Host name. Add it to FRONTDESK_HOSTS.")
        if self._needs_tls and not (client.is_local or client.is_secure or scope["path"] in HEALTH):
            return TlsRequired(
                "The server takes requests from other machines by TLS alone: through a proxy that FRONTDESK_PROXIES "
                "names and that sends X-Forwarded-Proto."
            )
        return None


def _careful(
    headers: Sequence[tuple[bytes, bytes]], own: tuple[bytes, bytes], client: Client
) -> list[tuple[bytes, bytes]]:
    said = {name for name, _ in headers}
    careful = [field for field in CAREFUL.items() if field[0] not in said]
    return [*headers, own, *careful, STRICT_TRANSPORT] if client.is_secure else [*headers, own, *careful]


def _is_denied(error: FrontdeskError, scope: Scope) -> bool:
    """Whether somebody was turned away. Not on record: a token that has run out, which is every day's; an unknown or
    closed tenant, unless a credential for it came along; a failed sign-in, which has an entry with its own tenant."""
    if isinstance(error, TenantNotFound | TenantSuspended):
        return scope["state"].get("principal") is not None
    if isinstance(error, TokenExpired | SignInFailed | SecondFactorNeeded):
        return False
    return isinstance(error, Unauthenticated | Forbidden | CrossSite | AddressRefused)


def _host(scope: Scope) -> str:
    """Without its port, in small letters; a request of HTTP/1.0 without one counts as loopback."""
    return _PORT.sub("", _header(scope, b"host", "localhost")).lower()


def _header(scope: Scope, name: bytes, default: str = "") -> str:
    return next((value.decode("latin-1") for found, value in scope["headers"] if found == name), default)


def _correlation_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-correlation-id" and _SANE.match(value):
            return str(value.decode())
    return str(new_id())


def _route(scope: Scope) -> str:
    """The route's template, never the path: labels are a closed set."""
    route = scope.get("route")
    return str(getattr(route, "path", "none"))
