"""One server in this process, with a victim, an attacker, a suspended tenant, and one to try things rightly on."""

import os
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import asyncpg
import pytest

from frontdesk.apply.change import change
from frontdesk.apply.written import Values
from frontdesk.core.clock import SystemClock
from frontdesk.core.settings import load_settings
from frontdesk.server.applying import apply_services
from frontdesk.server.directory import TenantDirectory
from frontdesk.server.serve import load_tenants, people_of, web_application
from frontdesk.server.services import Services, built
from frontdesk.tenants import life
from tests.attacks.kinds import Cast
from tests.attacks.table import Operation, operations
from tests.attacks.world import AUDIENCE, TEST, Grounds, World, vouch
from tests.conftest import of_database
from tests.identity.issuer_server import issuer_server
from tests.prepared import prepare

VICTIM = "clinic"  # the default tenant: the short routes are its

CANARIES = {VICTIM: "Zyxophant", "globex": "Quibbletop", "initech": "Mumblecore", "hooli": "Wobblegast"}

FILES = {
    "tenant.yaml": "slug: SLUG\nname: SLUG\ndefault_agent: desk\nemergency:\n  texts: {en: Call 112.}\n",
    "llm.yaml": "aliases:\n  smart: {chain: [{provider: local, model: extractive}]}\n",
    "agents/desk.yaml": "title: Desk\ndescription: Answers.\ntools: [search]\nprompt: desk\n",
    "agents/general_info.yaml": "title: Info\ndescription: Tells.\ntools: [search]\nexamples: [Hi]\n",
    "prompts/desk.md": "You answer for {{ organisation }}.\n",
    "prompts/general_info.md": "You answer for {{ organisation }}.\n",
    "tools/search.yaml": """\
description: Searches.
knowledge: {}
input_schema: {type: object, required: [query], properties: {query: {type: string}}}
""",
}


@dataclass
class Stage:
    """Everything that attacks need."""

    grounds: Grounds
    apps: dict[bool, Any]
    routes: list[Any]
    table: list[Operation]
    cast: Cast
    control: World


def write_tenants(folder: Path, *slugs: str) -> Path:
    for slug in slugs:
        for name, text in FILES.items():
            path = folder / slug / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("SLUG", slug))
    return folder


def application(services: Services, *, is_open: bool) -> tuple[Any, list[Any], dict[str, Any]]:
    """(as it is served, its routes, its OpenAPI)"""
    settings = services.settings.model_copy(update={"developer": is_open})
    app = web_application(replace(services, settings=settings), people_of(services, "http://localhost"))
    inner = app
    while not hasattr(inner, "openapi"):
        inner = inner._app if hasattr(inner, "_app") else inner.app
    return app, list(flat(inner.routes)), inner.openapi()


def flat(routes: Iterable[Any]) -> Iterator[Any]:
    for route in routes:
        if hasattr(route, "original_router"):
            yield from flat(route.original_router.routes)
        else:
            yield route


@pytest.fixture(scope="session")
async def stage(postgres: str, migrated_template: str) -> AsyncIterator[Stage]:
    owner = await asyncpg.connect(postgres)
    await owner.execute(f"CREATE DATABASE attacks TEMPLATE {migrated_template} STRATEGY FILE_COPY")
    await owner.close()
    url = of_database(postgres, "attacks")
    with tempfile.TemporaryDirectory(prefix="frontdesk-attacks-") as place:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FRONTDESK_")} | {
            "FRONTDESK_DATA": f"{place}/data",
            "FRONTDESK_DATABASE_URL": url,
            "FRONTDESK_TENANTS": str(write_tenants(Path(place) / "tenants", "globex", "initech", "hooli")),
        }
        await prepare(Path(place, "data"), environment)
        with patch.dict(os.environ, environment, clear=True):
            settings = load_settings(os.environ)
        async with built(settings, lambda _line: None) as services:
            await load_tenants(services, lambda _line: None)
            owner = await asyncpg.connect(url)
            try:
                async with AsyncExitStack() as issuers:
                    yield await _set(services, owner, issuers)
            finally:
                await owner.close()


async def settle(services: Services, world: World, settings: dict[str, Any]) -> None:
    """What its files could say too: some of it is the operator's to say."""

    def edit(values: Values) -> None:
        values["tenant.yaml"] = values["tenant.yaml"] | settings

    await change(world.id, edit, TEST, apply_services(services), services.folders.get(world.slug))


async def _set(services: Services, owner: asyncpg.Connection, issuers: AsyncExitStack) -> Stage:
    app, routes, openapi = application(services, is_open=False)
    table = operations(routes, openapi)
    grounds = Grounds(services, app, owner)
    worlds = {slug: await grounds.world(slug, table, canary=canary) for slug, canary in CANARIES.items()}
    victim, suspended = worlds[VICTIM], worlds["initech"]
    # Nobody without a credential, so that each route has to be asked.
    await settle(services, victim, {"anonymous_chat": False})
    for world in (victim, worlds["globex"], worlds["hooli"]):
        issuer = await issuers.enter_async_context(issuer_server())
        roles = {"claim": "groups", "values": {"admins": "admin", "readers": "viewer"}, "others": "contact"}
        named = [{"issuer": issuer.url, "audience": AUDIENCE, "jwks_url": f"{issuer.url}/keys", "roles": roles}]
        await settle(services, world, {"issuers": named, "http_allow": ["127.0.0.1"]})
        vouch(world, issuer)
    await life.suspend(services.database, suspended.id, TEST)
    # Doors that know of it: a directory remembers a tenant for a moment.
    directory = TenantDirectory(services.database, services.definitions, SystemClock(), VICTIM)
    apps = {each: application(replace(services, directory=directory), is_open=each)[0] for each in (False, True)}
    return Stage(grounds, apps, routes, table, Cast(victim, worlds["globex"], suspended, {}), worlds["hooli"])
