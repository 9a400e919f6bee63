"""The web application: routes and what surrounds them."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from importlib.metadata import version
from typing import Any  # OpenAPI's schema is JSON

from fastapi import APIRouter, Depends, FastAPI, Response
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from frontdesk.channels import (
    api_keys,
    audit,
    contacts,
    documents,
    jwks,
    outgoing,
    prompts,
    staff_forms,
    tenants,
    usage,
    visitors,
)
from frontdesk.channels.access import FOR_ALL, Access, Caller, Default, Machine, Named, Needed, Public
from frontdesk.channels.addresses import Clients, Network
from frontdesk.channels.declared import declared, refuse_undeclared
from frontdesk.channels.http import MESSAGE_ROUTES
from frontdesk.channels.openapi import also, answers, components, failures
from frontdesk.conversations.models import Answer
from frontdesk.core.errors import (
    AddressRefused,
    CrossSite,
    DatabaseUnavailable,
    Forbidden,
    FrontdeskError,
    Invalid,
    ShuttingDown,
    TenantSuspended,
    TokenExpired,
    TokenInvalid,
    Unauthenticated,
    Unavailable,
    UnknownHost,
)
from frontdesk.core.json import dumps
from frontdesk.identity.permissions import ANONYMOUS, Permission
from frontdesk.knowledge.models import Excerpt
from frontdesk.server import docs
from frontdesk.server.cross_origin import CrossOrigin, OriginsOf
from frontdesk.server.errors import ErrorRenderer
from frontdesk.server.examples import FAILURES, show_examples
from frontdesk.server.health import FORMS as HEALTH_FORMS
from frontdesk.server.health import Alive, Component, Health, NotReady, Ready
from frontdesk.server.middleware import Refused, Surroundings
from frontdesk.telemetry.metrics import Metrics

DESCRIPTION = """One server that runs an organisation's AI conversations.

Errors have one form on every route: `detail`, `error_code`, `timestamp`, `correlation_id`, `retry_after`, and with
422 `errors` by field. `X-Correlation-ID` is taken from the request or made, and always returned."""

# Whatever the route. 422 comes where there is something to check, 403 where something is changed.
ANYWHERE = failures(UnknownHost, AddressRefused, FrontdeskError, Unavailable, DatabaseUnavailable, ShuttingDown)
CHECKED, CHANGING = failures(Invalid), failures(CrossSite)
NEEDED = failures(Unauthenticated, TokenInvalid, TokenExpired, TenantSuspended, Forbidden)

TAGS = {
    "chat": "Messages, answers and sessions of a tenant.",
    "chat, default tenant": "The same by short paths, for the tenant of FRONTDESK_EXAMPLE.",
    "feedback": "Verdicts on who answered.",
    "page": "What the visitors' page shows.",
    "widgets": "Tokens of visitors.",
    "sign-in": "Signing in and out, and one's own account.",
    "staff": "Who may sign in, and as what.",
    "admin": "A tenant's definitions, settings, documents, keys, contacts, usage and audit log; and tenants.",
    "identity": "The keys that our tokens are verified with.",
    "health": "For monitors.",
}

_BEARER = "A token, or an API key. With a token of an organisation's own issuer `/api/admin/…` needs `X-Tenant`."
SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": _BEARER},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."},
}

# What answers are made of: OpenAPI shows each by its name.
FORMS = (
    Answer, Excerpt, *api_keys.FORMS, *audit.FORMS, *contacts.FORMS, *documents.FORMS, *HEALTH_FORMS, *jwks.FORMS,
    *outgoing.FORMS, *prompts.FORMS, *staff_forms.FORMS, *tenants.FORMS, *usage.FORMS, *visitors.FORMS,
)  # fmt: skip


def build_app(
    routers: list[APIRouter],
    access: Access,
    errors: ErrorRenderer,
    metrics: Metrics,
    health: Health,
    refresh_metrics: Callable[[], Awaitable[None]],
    cors_origins: tuple[str, ...],
    origins_of: OriginsOf,
    hosts: tuple[str, ...],
    clients: Clients,
    addresses: Collection[Network],
    refused: Refused,
    needs_tls: bool = False,
) -> ASGIApp:
    # FastAPI's own pages load scripts from elsewhere: /docs is ours.
    app = FastAPI(
        title="frontdesk",
        version=version("frontdesk"),
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    every = [
        _health_router(health, metrics, access, refresh_metrics),
        *routers,
        docs.build_router(lambda: app.openapi()),
    ]
    routes = [route for router in every for route in router.routes]
    refuse_undeclared(routes)
    for router in every:
        app.include_router(router)
    errors.install(app)
    app.openapi = lambda: _openapi(app, routes)  # type: ignore[method-assign]  # FastAPI's own way to change the schema
    inner: ASGIApp = ShortCut(app, routes, errors)
    inner = CrossOrigin(inner, cors_origins, origins_of, errors)
    return Surroundings(
        inner, hosts=hosts, clients=clients, addresses=addresses, errors=errors, metrics=metrics, refused=refused,
        needs_tls=needs_tls,
    )  # fmt: skip


class ShortCut:
    """Brings messages to their endpoints past FastAPI's layers: these read the request themselves, so that nothing is
    left for it to do but to describe them in OpenAPI. Everything else goes on to `app`."""

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute], errors: ErrorRenderer) -> None:
        self._app = app
        self._errors = errors
        self._routes: list[tuple[APIRoute, Callable[..., Awaitable[Caller]]]] = [
            (route, needed)
            for route in routes
            if isinstance(route, APIRoute)
            and route.name in MESSAGE_ROUTES
            and isinstance(needed := declared(route), Named | Default)
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            for route, needed in self._routes:
                if found := route.path_regex.match(scope["path"]):
                    scope["route"] = route
                    request = Request(scope, receive, send)
                    try:
                        caller = await needed(request, **found.groupdict())
                        response = await route.endpoint(caller=caller, request=request)
                    except FrontdeskError as error:
                        scope["state"]["error"] = error
                        response = self._errors.response(error, scope["state"]["correlation_id"])
                    await response(scope, receive, send)
                    return
        await self._app(scope, receive, send)


def _health_router(
    health: Health, metrics: Metrics, access: Access, refresh_metrics: Callable[[], Awaitable[None]]
) -> APIRouter:
    router = APIRouter(tags=["health"])
    monitors = [Depends(access.machine(Permission.METRICS_READ))]

    @router.get("/health", dependencies=FOR_ALL, responses=answers(200, Alive, "It lives"))
    async def alive() -> Response:
        """200 while the process lives."""
        return _json(Alive("ok", version("frontdesk")))

    @router.get(
        "/health/ready",
        dependencies=FOR_ALL,
        responses=answers(200, Ready, "Ready") | answers(503, NotReady, "Not ready"),
    )
    async def ready() -> Response:
        """200 when messages can be answered, else 503 with the reasons."""
        reasons = await health.ready()
        if not reasons:
            return _json(Ready("ready"))
        return _json(NotReady("not ready", reasons), 503, {"Retry-After": "2"})

    @router.get(
        "/health/detailed", dependencies=monitors, responses=answers(200, dict[str, Component], "Each component")
    )
    async def detailed() -> Response:
        """Each component with its status, latency and detail."""
        return _json(await health.detailed())

    @router.get("/metrics", dependencies=monitors, response_class=PlainTextResponse)
    async def show_metrics() -> Response:
        """Prometheus."""
        await refresh_metrics()
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router


def _openapi(app: FastAPI, routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """FastAPI's schema with the one error format in place of its own."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schema["tags"] = [{"name": name, "description": description} for name, description in TAGS.items()]
        schema["components"] = {"schemas": components(FORMS), "securitySchemes": SECURITY, "examples": FAILURES}
        needs = {
            (route.path_format, method.lower()): declared(route)
            for route in routes
            if isinstance(route, APIRoute)
            for method in route.methods or ()
        }
        for path, operations in schema["paths"].items():
            for method, operation in operations.items():
                need = needs[path, method]
                operation["security"] = _security(need)
                operation["summary"] = operation["description"].partition(".")[0].partition("\n")[0]
                responses = operation["responses"]
                if "422" in responses:
                    if "HTTPValidationError" in str(responses["422"]):  # FastAPI's own: not our format
                        del responses["422"]
                    responses = also(responses, CHECKED)
                responses = also(responses, ANYWHERE)
                if isinstance(need, Needed):
                    responses = also(responses, NEEDED)
                if method not in ("get", "head"):
                    responses = also(responses, CHANGING)
                operation["responses"] = responses
                show_examples(f"{method.upper()} {path}", operation)
        app.openapi_schema = schema
    return app.openapi_schema


def _security(need: Needed | Public | None) -> list[dict[str, list[str]]]:
    """An empty one among them: also without a credential, where the tenant or the machine lets anybody."""
    if not isinstance(need, Needed):
        return []
    credentials: list[dict[str, list[str]]] = [{"bearer": []}, {"key": []}]
    return [*credentials, {}] if need.permission in ANONYMOUS or isinstance(need, Machine) else credentials


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(dumps(body), status, headers, media_type="application/json")
