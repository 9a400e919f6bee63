"""The web application: routes and what surrounds them."""

from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any  # OpenAPI's schema is JSON

from fastapi import APIRouter, FastAPI, Response
from fastapi.openapi.utils import get_openapi
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from frontdesk.core.json import dumps
from frontdesk.server.errors import ErrorRenderer
from frontdesk.server.health import Health
from frontdesk.server.middleware import Surroundings
from frontdesk.telemetry.metrics import Metrics

DESCRIPTION = """One server that runs an organisation's AI conversations.

Errors have one form on every route: `detail`, `error_code`, `timestamp`, `correlation_id`, `retry_after`, and with
422 `errors` by field. `X-Correlation-ID` is taken from the request or made, and always returned."""

ERROR_SCHEMA = {
    "type": "object",
    "required": ["detail", "error_code", "timestamp", "correlation_id", "retry_after"],
    "properties": {
        "detail": {"type": "string"},
        "error_code": {"type": "string", "pattern": "^[A-Z][A-Z0-9_]*$"},
        "timestamp": {"type": "string", "format": "date-time"},
        "correlation_id": {"type": "string"},
        "retry_after": {"type": ["integer", "null"]},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


def build_app(
    routers: list[APIRouter],
    errors: ErrorRenderer,
    metrics: Metrics,
    health: Health,
    refresh_metrics: Callable[[], Awaitable[None]],
    cors_origins: tuple[str, ...],
    hosts: tuple[str, ...],
) -> ASGIApp:
    app = FastAPI(title="frontdesk", version=version("frontdesk"), description=DESCRIPTION)
    app.include_router(_health_router(health, metrics, refresh_metrics))
    for router in routers:
        app.include_router(router)
    errors.install(app)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's own way to change the schema
    inner: ASGIApp = app
    if cors_origins:
        inner = CORSMiddleware(
            inner,
            allow_origins=list(cors_origins),
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Content-Type", "Idempotency-Key", "Last-Event-ID", "X-Correlation-ID"],
            expose_headers=["X-Correlation-ID", "Retry-After"],
        )
    return Surroundings(inner, hosts=hosts, origins=cors_origins, errors=errors, metrics=metrics)


def _health_router(health: Health, metrics: Metrics, refresh_metrics: Callable[[], Awaitable[None]]) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/health")
    async def alive() -> Response:
        """200 while the process lives."""
        return _json({"status": "ok", "version": version("frontdesk")})

    @router.get("/health/ready")
    async def ready() -> Response:
        """200 when messages can be answered, else 503 with the reasons."""
        reasons = await health.ready()
        if not reasons:
            return _json({"status": "ready"})
        return _json({"status": "not ready", "reasons": reasons}, 503, {"Retry-After": "2"})

    @router.get("/health/detailed")
    async def detailed() -> Response:
        """Each component with its status, latency and detail."""
        return _json(await health.detailed())

    @router.get("/metrics")
    async def show_metrics() -> Response:
        """Prometheus."""
        await refresh_metrics()
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router


def _openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's schema with the one error format in place of its own."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schema.setdefault("components", {}).setdefault("schemas", {})["Error"] = ERROR_SCHEMA
        error = {
            "description": "Any failure, in the one format",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        }
        for path in schema["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
                operation["responses"]["default"] = error
        app.openapi_schema = schema
    return app.openapi_schema


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(dumps(body), status, headers, media_type="application/json")
