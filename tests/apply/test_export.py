"""Files out of the database: applied again they change nothing, and in another database they are the same bytes."""

import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import asyncpg
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.apply.tenant_folder import FILES, changed, write_folder
from tests.conftest import as_application, of_database

from frontdesk.agents.models import (
    Agent,
    Alias,
    Definitions,
    EmergencySettings,
    PermittedSettings,
    Prompt,
    Target,
    Tenant,
    TenantSettings,
)
from frontdesk.apply import ApplyServices, apply_folder, read_folder
from frontdesk.apply.export import Exported, export_folder, files_of
from frontdesk.apply.files import definitions_of
from frontdesk.apply.located import parse_yaml
from frontdesk.apply.yaml_text import yaml_text
from frontdesk.core.errors import Invalid
from frontdesk.core.ids import new_id
from frontdesk.db import Database
from frontdesk.db.cipher import Cipher
from frontdesk.embedding.minilm import MiniLM
from frontdesk.identity.claimed_roles import IssuerRoles
from frontdesk.identity.issuers import IssuerSettings
from frontdesk.knowledge.models import Source
from frontdesk.knowledge.service import Knowledge
from frontdesk.tenants import secrets as tenant_secrets
from frontdesk.tenants.store import tenant_named
from frontdesk.tools.types import ToolDefinition, ToolKind

CLINIC = Path(__file__).parents[2] / "examples" / "clinic"

# What YAML, our reader of it, or a file may take for something else.
HARD = [
    "no", "on", "true", "null", "~", "14:30", "2026-01-31", "1e5", "0x1F", "1_000", ".5", "-", "- a", "a: b", "#1",
    " lead", "trail ", "two\nlines", "\nfirst empty", "last empty\n", "tab\there", "  deep\n shallow", "a\r\nb\r\n",
    "\u0085", "\u2028x", "\ufeffmark", "😀 ä ﷽", "'", '"', "{x}", "[x]", "*a", "&a", "!t", "%", "@", "`", "|", ">", "?",
    "\x07bell", "a" * 490, "x #y", "x: ", "---", "...", "\\n", "${secret:A}", "\n", " \n x\n  ", "=", "<<",
]  # fmt: skip
texts = st.sampled_from(HARD) | st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), min_size=1, max_size=80
)
lines = texts.map(lambda text: text[:500])


def plain_json(leaves: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    keys = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=20)
    return st.recursive(
        leaves,
        lambda inside: (
            st.lists(inside, max_size=3)
            | st.dictionaries((keys | st.sampled_from(HARD)).filter(lambda key: key != "<<"), inside, max_size=3)
        ),
        max_leaves=8,
    )


numbers = st.integers(-(10**15), 10**15) | st.floats(allow_nan=False, allow_infinity=False)
values = plain_json(texts | numbers | st.booleans() | st.none())


@given(st.dictionaries(texts.filter(lambda key: key != "<<"), values, min_size=1, max_size=4))
@settings(max_examples=400)
def test_any_value_written_is_read_as_itself(value: dict[str, object]) -> None:
    text = yaml_text(value)
    read = parse_yaml(text, "f").value
    assert read == value
    assert yaml_text(read) == text


names = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True).filter(lambda name: name != "abandon_pending")


@st.composite
def issuers(draw: st.DrawFn) -> IssuerSettings:
    by_value = st.dictionaries(
        lines.filter(lambda key: key != "<<"), st.sampled_from(["admin", "supporter", "viewer"]), min_size=1, max_size=3
    )
    roles = st.builds(
        IssuerRoles, lines.map(lambda text: text[:200]), by_value, st.sampled_from(["contact", "refused"])
    )
    return IssuerSettings(draw(lines), draw(lines), "https://id.example/keys", roles=draw(st.none() | roles))


@st.composite
def tenants(draw: st.DrawFn) -> Definitions:
    """What a folder may say, in every kind of file; no python tools, whose code is the deployment's."""
    tools = {
        name: ToolDefinition(
            name=name,
            kind=ToolKind.KNOWLEDGE,
            description=draw(texts),
            input_schema={"type": "object", "properties": {"query": {"type": "string", "description": draw(texts)}}},
            config=draw(st.sampled_from([{}, {"top_k": 3}, {"top_k": 5, "min_score": 0.5}])),
            side_effects=draw(st.booleans()),
            timeout_s=draw(st.sampled_from([10.0, 2.5, 300.0])),
            examples=tuple(draw(st.lists(lines, max_size=2))),
        )
        for name in draw(st.lists(names, max_size=2, unique=True))
    }
    aliases = {
        name: Alias(
            name,
            tuple(
                Target(draw(st.sampled_from(["openai", "local"])), draw(lines), rank, draw(st.integers(1, 3)))
                for rank in range(draw(st.integers(1, 3)))
                for _ in range(draw(st.integers(1, 2)))
            ),
            draw(st.none() | st.sampled_from([0.0, 0.2, 2.0])),
            draw(st.none() | st.integers(1, 1000)),
            draw(st.none() | st.sampled_from([1.0, 2.5])),
        )
        for name in draw(st.lists(names, min_size=1, max_size=2, unique=True))
    }
    found = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    agents = {
        name: Agent(
            name=name,
            title=draw(lines),
            description=draw(texts),
            examples=tuple(f"{name} {place}" for place in range(draw(st.integers(0, 3)))),
            prompt=draw(st.sampled_from(found)),
            tools=tuple(draw(st.lists(st.sampled_from(sorted(tools)), unique=True)) if tools else ()),
            model=draw(st.sampled_from(sorted(aliases))),
            max_steps=draw(st.integers(1, 50)),
            max_cost_usd=Decimal("0.5"),
            timeout_s=draw(st.sampled_from([60.0, 1.5])),
        )
        for name in found
    }
    literal = texts.map(lambda text: "{% raw %}" + text.replace("{%", "") + "{% endraw %}")
    prompts = {name: Prompt(name, 1, draw(literal | st.just(""))) for name in found}
    wanted = TenantSettings(
        languages=tuple(draw(st.lists(st.sampled_from(["en", "es", "no", "de"]), min_size=1, unique=True))),
        time_zone=draw(st.sampled_from(["UTC", "Europe/Dublin"])),
        region=draw(lines.map(lambda text: text[:100])),
        default_agent=found[0],
        permitted=PermittedSettings(draw(st.none() | st.just((found[0],))), draw(st.none() | st.just(()))),
        greeting=draw(texts),
        suggestions=tuple(draw(st.lists(lines, max_size=3))),
        emergency=EmergencySettings(
            texts={"en": draw(texts), "no": draw(texts)}, words=draw(st.sampled_from([{}, {"no": ("nei",), "en": ()}]))
        ),
        issuers=tuple(draw(st.lists(issuers(), max_size=2))),
        session_ttl_s=draw(st.sampled_from([3600, 60])),
        join_bursts=draw(st.booleans()),
        min_score=draw(st.sampled_from([0.25, 0.0, -1.0])),
    )
    return Definitions(Tenant(new_id(), "shop", draw(lines), 1, wanted), agents, tools, prompts, aliases)


@given(tenants())
@settings(max_examples=100)
def test_any_tenant_is_read_from_its_files_as_it_is_stored(definitions: Definitions) -> None:
    files = files_of(definitions, {"CRM": "CRM_TOKEN"})
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            path = Path(folder) / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        read = read_folder(Path(folder))
    again = definitions_of(read, definitions.tenant.id, 1)
    assert msgspec.to_builtins(again) == msgspec.to_builtins(definitions)
    assert {name: secret.variable for name, secret in read.secrets.items()} == {"CRM": "CRM_TOKEN"}
    assert files_of(again, {"CRM": "CRM_TOKEN"}) == files


# With a database


@pytest.fixture(scope="session")
def embedder(models: Path) -> MiniLM:
    return MiniLM.load(models)


async def fit(_definitions: Definitions) -> bool:
    return False


def services_of(database: Database, embedder: MiniLM) -> ApplyServices:
    environment = {"SHOP_TOKEN": "tok-123"}
    return ApplyServices(database, Knowledge(database, embedder), Cipher([b"k" * 32]), fit, environment)


@pytest.fixture
def services(database: Database, embedder: MiniLM) -> ApplyServices:
    return services_of(database, embedder)


@pytest.fixture
async def elsewhere(postgres: str, migrated_template: str, embedder: MiniLM) -> AsyncIterator[ApplyServices]:
    """A second database."""
    name = f"t_{new_id().hex}"
    owner = await asyncpg.connect(postgres)
    await owner.execute(f"CREATE DATABASE {name} TEMPLATE {migrated_template}")
    database = await Database.connect(as_application(of_database(postgres, name)))
    yield services_of(database, embedder)
    await database.close()
    await owner.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await owner.close()


async def exported(services: ApplyServices, slug: str, folder: Path) -> Exported:
    tenant = await tenant_named(services.database, slug)
    assert tenant is not None
    return await export_folder(tenant.id, folder, services.database, services.knowledge)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


MANY_KINDS: dict[str, str | bytes | None] = {
    **changed("tenant.yaml", "languages", "secrets: {SHOP: {env: SHOP_TOKEN}}\nregion: eu-west\nlanguages"),
    "README.md": "Ours.\r\n",
    "tools/not_named.py": b"# -*- coding: latin-1 -*-\n" + b"# \xe4\n",
    "tools/call.yaml": """\
description: Calls the shop.
http:
  url: https://shop.example/orders/{id}
  headers: {authorization: "Bearer ${secret:SHOP}"}
  retries: 2
input_schema:
  type: object
  properties:
    id: {type: string, zebra: 1, apple: 2, minimum: 1.0}
""",
    "documents/deep/er/bytes.txt": b"\xef\xbb\xbfOpening hours\r\n\r\nThe bakery is open at six. Always.\r\n",
    "prompts/unused.md": "\ufeffMark\n",
}


@pytest.mark.parametrize("which", ["bakery", "clinic"])
async def test_an_export_applied_changes_nothing_and_is_the_same_bytes_elsewhere(
    services: ApplyServices, elsewhere: ApplyServices, tmp_path: Path, which: str
) -> None:
    folder = CLINIC if which == "clinic" else write_folder(tmp_path, MANY_KINDS)
    await apply_folder(folder, services)
    first, second = tmp_path / "first", tmp_path / "second"
    assert (await exported(services, which, first)).differences == ()
    assert (await apply_folder(first, services)).plan.is_empty
    assert (await apply_folder(folder, services)).plan.is_empty
    await apply_folder(first, elsewhere)
    assert (await exported(elsewhere, which, second)).differences == ()
    assert contents(second) == contents(first)
    own = ("documents/", "README.md", "prompts/")
    for name, content in contents(folder).items():
        if name.startswith(own) or name.endswith(".py"):
            mark = b"\xef\xbb\xbf" if name.startswith("prompts/") else b""  # which is no part of a text
            assert contents(first)[name] == content.removeprefix(mark), name


async def test_values_of_secrets_are_in_no_file(services: ApplyServices, tmp_path: Path) -> None:
    await apply_folder(write_folder(tmp_path, MANY_KINDS), services)
    await exported(services, "bakery", tmp_path / "out")
    files = contents(tmp_path / "out")
    assert b"SHOP: \n" not in files["tenant.yaml"] and b"env: SHOP_TOKEN" in files["tenant.yaml"]
    assert not any(b"tok-123" in content for content in files.values())


async def test_a_secret_that_came_from_no_file_is_named_after_itself_and_stays(
    services: ApplyServices, tmp_path: Path
) -> None:
    await apply_folder(write_folder(tmp_path), services)
    tenant = await tenant_named(services.database, "bakery")
    assert tenant is not None
    async with services.database.scope(tenant.id) as scope:
        await tenant_secrets.put(scope, services.cipher, "crm", "tok-9")
    out = tmp_path / "out"
    assert (await exported(services, "bakery", out)).differences == ()
    assert (await apply_folder(out, services)).plan.is_empty


async def test_a_folder_that_holds_something_is_not_written_to(services: ApplyServices, tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    await apply_folder(folder, services)
    before = contents(folder)
    with pytest.raises(Invalid, match="is not empty"):
        await exported(services, "bakery", folder)
    assert contents(folder) == before


async def test_documents_of_before_get_their_bytes_by_the_next_apply(
    services: ApplyServices, database_url: str, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path)
    await apply_folder(folder, services)
    owner = await asyncpg.connect(database_url)
    await owner.execute("UPDATE documents SET original = NULL")
    await owner.close()
    assert (await exported(services, "bakery", tmp_path / "first")).lacking == ("bread.md", "hours.txt")
    assert (await apply_folder(folder, services)).plan.is_empty
    assert (await exported(services, "bakery", tmp_path / "second")).lacking == ()
    assert contents(tmp_path / "second")["documents/bread.md"] == FILES["documents/bread.md"].encode()


# What is made elsewhere, and what the files no longer have


async def made_elsewhere(services: ApplyServices) -> UUID:
    """An agent and a document that no file has, as the API makes them."""
    tenant = await tenant_named(services.database, "bakery")
    assert tenant is not None
    async with services.database.scope(tenant.id) as scope:
        await scope.execute(
            "INSERT INTO agents VALUES ($1, 'baker', $2)",
            tenant.id, msgspec.json.encode(Agent("baker", "Baker", "Bakes.")).decode(),
        )  # fmt: skip
    await services.knowledge.ingest(tenant.id, [Source("extra.md", b"# Extra\n\nCakes are sold on Sunday only.\n")])
    return tenant.id


def told(changes: object) -> list[str]:
    return [f"{change.kind} {change.name}" for change in changes]  # type: ignore[attr-defined]


async def test_what_did_not_come_from_files_stays_until_it_is_pruned(services: ApplyServices, tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    await apply_folder(folder, services)
    tenant_id = await made_elsewhere(services)
    for dry_run in (True, False):
        report = await apply_folder(folder, services, dry_run=dry_run)
        assert report.plan.is_empty
        assert told(report.plan.kept) == ["agent baker", "document extra.md"]
    report = await apply_folder(folder, services, prune=True, dry_run=True)
    assert told((*report.plan.definitions, *report.plan.documents)) == ["agent baker", "document extra.md"]
    assert len(await services.knowledge.documents(tenant_id)) == 3
    await apply_folder(folder, services, prune=True)
    assert len(await services.knowledge.documents(tenant_id)) == 2
    assert (await apply_folder(folder, services)).plan == replace(report.plan, definitions=(), documents=())


async def test_what_files_had_and_no_longer_have_goes_without_being_asked(
    services: ApplyServices, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path, MANY_KINDS)
    await apply_folder(folder, services)
    await made_elsewhere(services)
    for name in ("tools/call.yaml", "documents/hours.txt", "README.md", "prompts/unused.md"):
        (folder / name).unlink()
    report = await apply_folder(folder, services)
    gone = ["prompt unused", "tool call", "file README.md", "document hours.txt"]
    assert told((*report.plan.definitions, *report.plan.documents)) == gone
    assert told(report.plan.kept) == ["agent baker", "document extra.md"]


async def test_an_agents_file_that_is_renamed_is_another_agent_and_the_old_one_goes(
    services: ApplyServices, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path)
    await apply_folder(folder, services)
    renamed = changed("tenant.yaml", "default_agent: counter", "default_agent: till")
    (folder / "agents/counter.yaml").rename(folder / "agents/till.yaml")
    (folder / "prompts/counter.md").rename(folder / "prompts/till.md")
    (folder / "tenant.yaml").write_text(str(renamed["tenant.yaml"]))
    report = await apply_folder(folder, services)
    assert told(report.plan.definitions) == [
        "tenant bakery", "prompt counter", "prompt till", "agent counter", "agent till",
    ]  # fmt: skip
    assert report.plan.kept == ()
