"""`frontdesk doctor`: is everything there that the server needs?"""

import os
import shutil
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp

from frontdesk.core.clock import SystemClock
from frontdesk.core.errors import FrontdeskError
from frontdesk.core.settings import Settings
from frontdesk.embedding.minilm import MiniLM
from frontdesk.llm.check import check_providers
from frontdesk.server import sealing
from frontdesk.server.database import opened
from frontdesk.server.folders import tenant_folders
from frontdesk.server.providers import LOCAL, build_providers

MIN_FREE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Finding:
    what: str
    is_fine: bool
    detail: str


async def examine(settings: Settings) -> list[Finding]:
    """Every check runs, whatever the others found. A running server is not disturbed."""
    findings = [
        Finding("python", sys.version_info >= (3, 11), sys.version.split()[0]),
        _disk(settings),
        _port(settings),
    ]
    findings.append(await _found("tenant folders", lambda: _folders(settings)))
    findings.extend(await _database(settings))
    findings.append(await _found("embedding model", lambda: _model(settings)))
    findings.extend(await _providers(settings))
    return findings


async def _found(what: str, look: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return Finding(what, True, await look())
    except FrontdeskError as error:
        return Finding(what, False, error.detail)


def _disk(settings: Settings) -> Finding:
    place = settings.data
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    is_writable = os.access(place, os.W_OK)
    detail = f"{settings.data}: {free / (1 << 30):.1f} GiB free" + ("" if is_writable else ", not writable")
    return Finding("data directory", is_writable and free >= MIN_FREE_BYTES, detail)


def _port(settings: Settings) -> Finding:
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.settimeout(1)
        is_used = settings.port != 0 and probe.connect_ex((settings.host, settings.port)) == 0
    detail = "in use, by a running frontdesk perhaps" if is_used else "free"
    return Finding(f"port {settings.port}", True, detail)


async def _folders(settings: Settings) -> str:
    return ", ".join(tenant_folders(settings)) or "none"


async def _database(settings: Settings) -> list[Finding]:
    """Of the database and, where it opens, of the keys that it asks for."""
    try:
        async with opened(settings, lambda _line: None, alone=False) as open_database:
            [row] = await open_database.database.call("SELECT split_part(version(), ' ', 2) AS version")
            kind = "embedded" if open_database.embedded else "external"
            return [
                Finding("database", True, f"{kind} PostgreSQL {row['version']}, schema up to date"),
                await _found("encryption keys", lambda: sealing.examined(settings, open_database.database)),
            ]
    except FrontdeskError as error:
        return [Finding("database", False, error.detail)]


async def _model(settings: Settings) -> str:
    return MiniLM.load(settings.data / "models", settings.embedding_model).name


async def _providers(settings: Settings) -> list[Finding]:
    embedder = MiniLM.load(settings.data / "models", settings.embedding_model)
    async with aiohttp.ClientSession() as http:
        providers = build_providers(settings, http, embedder, SystemClock())
        vendors = {name: provider for name, provider in providers.by_name.items() if name != LOCAL}
        checks = await check_providers(vendors, providers.keys)
    if not checks:
        return [Finding("providers", True, "no key configured: the built-in local model answers")]
    return [Finding(f"provider {check.provider}", check.ok, check.detail) for check in checks]
