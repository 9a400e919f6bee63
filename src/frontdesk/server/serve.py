"""`frontdesk serve`: from settings to a listening server, and to a clean stop."""

import asyncio
import ipaddress
import signal
import socket
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from time import perf_counter
from typing import Any  # uvicorn takes a class by another name

import structlog
import uvicorn
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from frontdesk.apply.apply import apply_folder
from frontdesk.audit import Actor
from frontdesk.channels.access import Access
from frontdesk.channels.addresses import Clients
from frontdesk.channels.credentials import Credentials
from frontdesk.core.clock import SystemClock
from frontdesk.core.errors import (
    Conflict,
    DatabaseUnavailable,
    FrontdeskError,
    SettingsError,
    ShuttingDown,
    TooManyConnections,
)
from frontdesk.core.ids import new_id
from frontdesk.core.settings import Settings
from frontdesk.identity.issuers import Issuers
from frontdesk.identity.staffing import By, Staffing
from frontdesk.llm.check import check_providers
from frontdesk.server import memory
from frontdesk.server.app import build_app
from frontdesk.server.applying import apply_services
from frontdesk.server.connections import Connection, allowed
from frontdesk.server.database import Say
from frontdesk.server.errors import ErrorRenderer
from frontdesk.server.health import Check, Health
from frontdesk.server.middleware import CAREFUL, Surroundings
from frontdesk.server.people import People, base_of, owner_link, people
from frontdesk.server.providers import LOCAL
from frontdesk.server.routes import routers
from frontdesk.server.services import Services, built, running
from frontdesk.server.web import TenantWeb
from frontdesk.shared.redis import RedisAway

log = structlog.get_logger()

KEEP_ALIVE_S = 30
BACKLOG = 2048
# Beyond the worker's own time to finish: for the last bytes of streams.
LAST_BYTES_S = 1
BUSY_RETRY_S = 5


class Server(uvicorn.Server):
    """uvicorn without its own signals: stopping is ours, turns come first."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(settings: Settings, say: Say) -> None:
    """Until SIGTERM or SIGINT. Raises SettingsError and what `built` raises, before anything listens."""
    refuse_open_address(settings)
    if settings.developer:
        refuse_open_production(settings)
        say("warning: FRONTDESK_DEVELOPER is set: whoever reaches this port from this machine may do everything.")
        log.warning("access.open", host=settings.host)
    memory.one_arena()
    stop, ready = asyncio.Event(), asyncio.Event()
    serving = asyncio.create_task(_serve(settings, say, stop, ready))

    def asked_to_stop() -> None:
        stop.set()
        if not ready.is_set():
            serving.cancel()  # nothing is promised to anybody yet

    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, asked_to_stop)
    try:
        await serving
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
    log.info("server.stopped")


async def _serve(settings: Settings, say: Say, stop: asyncio.Event, ready: asyncio.Event) -> None:
    begun = perf_counter()
    with bound_socket(settings.host, settings.port) as listening:
        async with built(settings, say) as services:
            await load_tenants(services, say)
            joined = people_of(services, base_of(settings, listening.getsockname()[1]))
            server = Server(
                uvicorn.Config(
                    web_application(services, joined),
                    http=connection_class(services),
                    ws="none",
                    lifespan="off",
                    log_config=None,
                    access_log=False,
                    timeout_keep_alive=KEEP_ALIVE_S,
                    timeout_graceful_shutdown=LAST_BYTES_S,
                    server_header=False,
                    proxy_headers=False,  # by default it believes whatever loopback says: channels/addresses.py knows
                )
            )
            async with running(services):
                answering = asyncio.create_task(server.serve(sockets=[listening]))
                checking = asyncio.create_task(tell_providers(services, say))
                stopping = asyncio.create_task(stop.wait())
                host, port = listening.getsockname()[:2]
                memory.settle()
                listening.listen(BACKLOG)  # so that who reads "Ready" is never refused; uvicorn takes it over
                address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
                ready.set()
                say(f"Ready in {perf_counter() - begun:.1f} s: {address}")
                log.info("server.ready", address=address, env=settings.env)
                await tell_owner_link(services, joined.staffing, say)
                await asyncio.wait([answering, stopping], return_when=asyncio.FIRST_COMPLETED)
                say("Stopping: finishing what runs")
                checking.cancel()
            # Turns are done: what streams have left to say takes no time.
            server.should_exit = True
            await asyncio.gather(answering, checking, return_exceptions=True)


def refuse_open_address(settings: Settings) -> None:
    """Raises SettingsError where other machines could send passwords and messages in clear."""
    if not is_loopback(settings.host) and not settings.proxies:
        raise SettingsError(
            f"FRONTDESK_HOST: {settings.host} can be reached from other machines, and frontdesk speaks no TLS itself: "
            "what is sent would cross the network in clear. Listen on 127.0.0.1 behind a proxy on this machine, or "
            "name the proxies that speak TLS before it in FRONTDESK_PROXIES (docs/public.md)."
        )


def is_loopback(host: str) -> bool:
    """Whether `host` is of this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def needs_tls(settings: Settings) -> bool:
    """Of requests from elsewhere."""
    return settings.env == "production" or not is_loopback(settings.host)


def refuse_open_production(settings: Settings) -> None:
    """Raises SettingsError where nobody asking who calls would be more than a convenience."""
    if settings.env == "production" or not is_loopback(settings.host):
        raise SettingsError(
            "FRONTDESK_DEVELOPER can't be set with FRONTDESK_ENV=production, or where other machines reach the server: "
            "everybody could do everything."
        )


@contextmanager
def bound_socket(host: str, port: int) -> Iterator[socket.socket]:
    """Before anything slow: that the port is taken is said at once. Raises SettingsError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        try:
            listening.bind((host, port))
        except OSError as error:
            raise SettingsError(
                f"FRONTDESK_PORT: {host}:{port} can't be used ({error.strerror}). "
                "Another server may run there: choose another port with --port or FRONTDESK_PORT."
            ) from error
        yield listening
    finally:
        listening.close()


async def load_tenants(services: Services, say: Say) -> None:
    """Applies the example and the configured tenants; quick when nothing changed."""
    for slug, folder in services.folders.items():
        say(f"Loading the tenant {slug}")
        try:
            report = await apply_folder(folder, apply_services(services))
        except Conflict as error:  # one that is being deleted must not keep the others from being served
            say(f"warning: {slug}: {error.detail}")
            continue
        for refused in report.documents.refused if report.documents else ():
            say(f"warning: {slug}: {refused.name} was left out: {refused.reason}")


def people_of(services: Services, base: str) -> People:
    return people(
        services.database, services.cipher, SystemClock(), services.tokens, services.mail,
        services.denials, services.outbound, services.directory.named, services.people_metrics, base,
    )  # fmt: skip


async def tell_owner_link(services: Services, staffing: Staffing, say: Say) -> None:
    """Where somebody begins who is to own the default tenant, while nobody does. Who starts the server is not who is to
    own the others."""
    if services.settings.example:
        tenant = await services.directory.default()
        by = By(None, Actor("system", "start"))
        if (link := await owner_link(staffing, tenant.id, by, is_default=True)) is not None:
            say(f"Owner: {link}")
    elif not await staffing.has_operator():
        say("Nobody manages this server yet: frontdesk staff link --tenant TENANT --operator")


async def tell_providers(services: Services, say: Say) -> None:
    """Which keys work, once the server is up: a vendor that is slow to answer doesn't hold up the start."""
    providers = {name: provider for name, provider in services.providers.by_name.items() if name != LOCAL}
    if not providers:
        say("Answers come from the built-in local model. Set OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY.")
        return
    for check in await check_providers(providers, services.providers.keys):
        say(f"{check.provider}: {check.detail}")
        if not check.ok:
            log.error("provider.check_failed", provider=check.provider, detail=check.detail)


def connection_class(services: Services) -> Any:
    """uvicorn's class of a connection, with our limits."""
    settings = services.settings
    errors = error_renderer(settings)

    async def busy(scope: Scope, receive: Receive, send: Send) -> None:
        error = TooManyConnections("Too many connections are open. Try again in a moment.", retry_after=BUSY_RETRY_S)
        response = errors.response(error, scope["state"]["correlation_id"])
        response.headers["Connection"] = "close"
        await response(scope, receive, send)

    def refusal(error: FrontdeskError) -> Response:
        correlation_id = str(new_id())
        response = errors.response(error, correlation_id)
        response.headers["X-Correlation-ID"] = correlation_id
        response.raw_headers.extend(CAREFUL.items())
        return response

    surrounded = Surroundings(
        busy, hosts=settings.hosts, clients=Clients(settings.proxies),
        addresses=settings.addresses, errors=errors, metrics=services.metrics, refused=services.denials.count,
        needs_tls=needs_tls(settings),
    )  # fmt: skip
    most = allowed(settings.connections, settings.turns.concurrent)
    return partial(Connection, limits=settings.connections, most=most, busy=surrounded, refusal=refusal)


def error_renderer(settings: Settings) -> ErrorRenderer:
    return ErrorRenderer(SystemClock(), hide_details=settings.env == "production")


def web_application(services: Services, joined: People) -> ASGIApp:
    settings, metrics, directory = services.settings, services.metrics, services.directory
    errors = error_renderer(settings)
    issuers = Issuers(TenantWeb(services.outbound, directory.named).json, SystemClock())
    credentials = Credentials(services.api_keys, services.tokens, issuers, services.key_uses)
    access = Access(credentials, directory.named, directory.default, is_open=settings.developer)

    async def origins_of(slug: str | None) -> Collection[str]:
        return (await (directory.default() if slug is None else directory.named(slug))).settings.widget.origins

    return build_app(
        routers(services, joined, access, errors), access, errors, metrics, health_of(services), refresher(services),
        settings.cors_origins, origins_of, settings.hosts, Clients(settings.proxies), settings.addresses,
        services.denials.count, needs_tls(settings),
    )  # fmt: skip


def health_of(services: Services) -> Health:
    async def database() -> dict[str, int]:
        await services.database.ping()
        size, idle = services.database.size()
        return {"connections": size, "idle": idle}

    async def model() -> str:
        return services.embedder.name

    async def providers() -> dict[str, object]:
        return {
            "configured": sorted(services.providers.by_name),
            "breakers": [
                {"provider": view.provider, "model": view.model, "state": view.state, "retry_in_s": view.retry_in_s}
                for view in services.gateway.breakers()
                if view.owner is None  # those of tenants' own keys are theirs
            ],
        }

    async def turns() -> dict[str, int]:
        return {"running": services.live.running}

    async def accepting() -> str:
        if not services.conversations.is_open:
            raise ShuttingDown("The server is stopping.", retry_after=2)
        return "yes"

    useful: dict[str, Check] = {"providers": providers, "turns": turns}
    if services.settings.replica_url is not None:

        async def replica() -> dict[str, float | None]:
            return {"lag_s": await services.reads.lag_s()}

        useful["replica"] = replica
    if (redis := services.shared.redis) is not None:

        async def shared() -> str:
            if not await redis.look():
                raise RedisAway("Redis is not reachable: each server counts limits for itself.")
            return "shared"

        useful["redis"] = shared
    return Health({"accepting": accepting, "database": database, "embedding": model}, useful)


def refresher(services: Services) -> Callable[[], Awaitable[None]]:
    """Sets the gauges that are read off, not counted."""

    async def refresh() -> None:
        await services.feedback.count()
        services.metrics.tasks.set(len(asyncio.all_tasks()))
        size, idle = services.database.size()
        services.metrics.database_connections.labels("open").set(size)
        services.metrics.database_connections.labels("idle").set(idle)
        with suppress(DatabaseUnavailable):
            if (lag_s := await services.reads.lag_s()) is not None:
                services.metrics.replica_lag.set(lag_s)
        if services.embedded is not None:
            services.metrics.database_restarts.set(services.embedded.restarts)

    return refresh
