"""Applying a tenant's folder to a real database: once, again, in part, in pieces, at once."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.apply.tenant_folder import FILES, changed, write_folder

from frontdesk.agents.models import Definitions
from frontdesk.agents.store import load_definitions, prompt_versions
from frontdesk.apply import ApplyServices, Progress, Report, apply_folder
from frontdesk.core.errors import DefinitionError
from frontdesk.db import Database
from frontdesk.db.cipher import Cipher
from frontdesk.embedding.minilm import MiniLM
from frontdesk.knowledge.service import Knowledge
from frontdesk.tenants.secrets import TenantSecrets
from frontdesk.tenants.store import tenant_named, tenants_listed


@dataclass
class Fitter:
    """Counts like the real one: fits when the examples are others than last time."""

    fitted: list[dict[str, tuple[str, ...]]] = field(default_factory=list)

    async def __call__(self, definitions: Definitions) -> bool:
        examples = {name: agent.examples for name, agent in definitions.agents.items()}
        if self.fitted and self.fitted[-1] == examples:
            return False
        self.fitted.append(examples)
        return True


@pytest.fixture(scope="session")
def embedder(models: Path) -> MiniLM:
    return MiniLM.load(models)


@pytest.fixture
def services(database: Database, embedder: MiniLM) -> ApplyServices:
    return ApplyServices(database, Knowledge(database, embedder), Cipher([b"k" * 32]), Fitter(), {})


async def stored(services: ApplyServices, slug: str = "bakery") -> Definitions:
    tenant = await tenant_named(services.database, slug)
    assert tenant is not None
    async with services.database.scope(tenant.id) as scope:
        return await load_definitions(scope)


def lines(report: Report) -> list[str]:
    changes = (*report.plan.definitions, *report.plan.documents)
    return [f"{change.kind} {change.name} {change.action}" for change in changes]


async def test_the_first_run_stores_everything_and_tells_how_far_it_is(services: ApplyServices, tmp_path: Path) -> None:
    heard: list[Progress] = []
    report = await apply_folder(write_folder(tmp_path), services, heard.append)
    assert lines(report) == [
        "tenant bakery added",
        "alias smart added",
        "prompt counter added",
        "tool find added",
        "tool order_bread added",
        "agent counter added",
        "file tools/bread.py added",
        "document bread.md added",
        "document hours.txt added",
    ]
    assert report.version == 1
    assert report.fitted
    definitions = await stored(services)
    assert definitions.agents["counter"].tools == ("order_bread", "find")
    assert definitions.tenant.settings.time_zone == "Europe/Dublin"
    assert definitions.prompts["counter"].template == FILES["prompts/counter.md"]
    found = await services.knowledge.search(definitions.tenant.id, "When is rye bread baked?")
    assert found[0].document == "bread.md"
    stages = {
        stage: [step for step in heard if step.stage == stage] for stage in ("definitions", "documents", "classifier")
    }
    assert all(steps[-1].done == steps[-1].total for steps in stages.values())


async def test_the_second_run_finds_nothing_to_do_and_keeps_the_version(
    services: ApplyServices, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path)
    await apply_folder(folder, services)
    again = await apply_folder(folder, services)
    assert again.plan.is_empty
    assert (again.version, again.documents, again.fitted) == (1, None, False)


async def test_a_change_is_shown_field_by_field_and_makes_one_new_version(
    services: ApplyServices, tmp_path: Path
) -> None:
    await apply_folder(write_folder(tmp_path), services)
    files = changed("agents/counter.yaml", "I'd like two loaves", "Three loaves please")
    files |= changed("tools/order_bread.yaml", "side_effects: true", "side_effects: false")
    files |= changed("prompts/counter.md", "You sell", "You gladly sell")
    report = await apply_folder(write_folder(tmp_path, files), services)
    assert report.version == 2
    assert report.fitted
    shown = {
        (change.kind, each.field, each.before, each.after)
        for change in report.plan.definitions
        for each in change.fields
    }
    assert shown == {
        ("agent", "examples", "I'd like two loaves", None),
        ("agent", "examples", None, "Three loaves please"),
        ("tool", "side_effects", "true", "false"),
        ("prompt", "text", "You sell bread at {{ organisation }}.", None),
        ("prompt", "text", None, "You gladly sell bread at {{ organisation }}."),
    }
    definitions = await stored(services)
    assert not definitions.tools["order_bread"].side_effects
    async with services.database.scope(definitions.tenant.id) as scope:
        assert [prompt.version for prompt in await prompt_versions(scope, "counter")] == [2, 1]


async def test_only_the_documents_that_changed_are_read_again(services: ApplyServices, tmp_path: Path) -> None:
    await apply_folder(write_folder(tmp_path), services)
    report = await apply_folder(write_folder(tmp_path, changed("documents/bread.md", "four", "five")), services)
    assert lines(report) == ["document bread.md changed"]
    assert report.version == 1
    assert report.documents is not None
    assert (report.documents.changed, report.documents.unchanged) == (1, 1)


async def test_a_dry_run_shows_the_same_and_changes_nothing(services: ApplyServices, tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    dry = await apply_folder(folder, services, dry_run=True)
    assert dry.tenant_id is None
    assert await tenant_named(services.database, "bakery") is None
    real = await apply_folder(folder, services)
    assert lines(dry) == lines(real)
    before = await stored(services)
    steps = FILES["agents/counter.yaml"] + "max_steps: 3\n"
    files: dict[str, str | bytes | None] = {"documents/hours.txt": None, "agents/counter.yaml": steps}
    dry = await apply_folder(write_folder(tmp_path, files), services, dry_run=True)
    assert lines(dry) == ["agent counter changed", "document hours.txt removed"]
    assert await stored(services) == before


async def test_what_the_files_no_longer_have_is_removed(services: ApplyServices, tmp_path: Path) -> None:
    cellar = (
        FILES["agents/counter.yaml"].replace("I'd like two loaves", "wine").replace("Do you have rye bread?", "beer")
    )
    extra: dict[str, str | bytes | None] = {"agents/cellar.yaml": cellar, "prompts/cellar.md": "Cellar."}
    await apply_folder(write_folder(tmp_path, extra), services)
    gone: dict[str, str | bytes | None] = {
        "agents/cellar.yaml": None,
        "prompts/cellar.md": None,
        "tools/find.yaml": None,
        "documents/hours.txt": None,
        **changed("agents/counter.yaml", "[order_bread, find]", "[order_bread]"),
    }
    report = await apply_folder(write_folder(tmp_path, gone), services)
    assert lines(report) == [
        "prompt cellar removed",
        "tool find removed",
        "agent cellar removed",
        "agent counter changed",
        "document hours.txt removed",
    ]
    definitions = await stored(services)
    assert (set(definitions.agents), set(definitions.tools), set(definitions.prompts)) == (
        {"counter"},
        {"order_bread"},
        {"counter"},
    )
    assert (await apply_folder(tmp_path / "bakery", services)).plan.is_empty


async def test_files_with_mistakes_change_nothing_at_all(services: ApplyServices, tmp_path: Path) -> None:
    await apply_folder(write_folder(tmp_path), services)
    before = await stored(services)
    files = changed("tenant.yaml", "Corner", "Other") | changed("agents/counter.yaml", "find]", "fnd]")
    with pytest.raises(DefinitionError):
        await apply_folder(write_folder(tmp_path, files), services)
    assert await stored(services) == before


async def test_a_document_that_can_not_be_read_is_reported_and_stops_nothing(
    services: ApplyServices, tmp_path: Path
) -> None:
    report = await apply_folder(write_folder(tmp_path, {"documents/empty.md": ""}), services)
    assert report.documents is not None
    assert [refusal.name for refusal in report.documents.refused] == ["empty.md"]
    assert report.documents.added == 2


async def test_many_at_once_make_one_tenant_at_one_version(services: ApplyServices, tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    reports = await asyncio.gather(*(apply_folder(folder, services) for _ in range(6)))
    assert len({report.tenant_id for report in reports}) == 1
    assert {report.version for report in reports} == {1}
    assert sum(bool(report.plan.definitions) for report in reports) == 1
    assert [tenant.slug for tenant in await tenants_listed(services.database)] == ["bakery"]


async def test_tenants_do_not_touch_each_other(services: ApplyServices, tmp_path: Path) -> None:
    await apply_folder(write_folder(tmp_path / "a"), services)
    before = await stored(services)
    other = write_folder(tmp_path / "b", changed("tenant.yaml", "slug: bakery", "slug: winery"))
    assert "tenant winery added" in lines(await apply_folder(other, services))
    assert await stored(services) == before


# Secrets

WITH_SECRET = changed("tenant.yaml", "languages", "secrets: {SHOP: {env: SHOP_TOKEN}}\nlanguages")


def with_environment(services: ApplyServices, environment: Mapping[str, str]) -> ApplyServices:
    return replace(services, environment=environment)


async def test_a_secret_is_stored_sealed_and_opened_by_name(services: ApplyServices, tmp_path: Path) -> None:
    folder = write_folder(tmp_path, WITH_SECRET)
    report = await apply_folder(folder, with_environment(services, {"SHOP_TOKEN": "tok-123"}))
    assert "secret SHOP added" in lines(report)
    assert report.tenant_id is not None
    async with services.database.scope(report.tenant_id) as scope:
        assert b"tok-123" not in await scope.fetchval("SELECT value FROM secrets")
    assert await TenantSecrets(services.database, services.cipher).named(report.tenant_id, "SHOP") == "tok-123"


async def test_a_secret_stays_when_its_variable_is_not_set_here_and_changes_without_being_shown(
    services: ApplyServices, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path, WITH_SECRET)
    first = await apply_folder(folder, with_environment(services, {"SHOP_TOKEN": "tok-123"}))
    assert (await apply_folder(folder, services)).plan.is_empty
    second = await apply_folder(folder, with_environment(services, {"SHOP_TOKEN": "tok-456"}))
    assert lines(second) == ["secret SHOP changed"]
    assert "tok" not in repr(second)
    assert first.tenant_id is not None
    assert await TenantSecrets(services.database, services.cipher).named(first.tenant_id, "SHOP") == "tok-456"


async def test_a_secret_that_is_nowhere_is_told_with_file_line_and_variable(
    services: ApplyServices, tmp_path: Path
) -> None:
    with pytest.raises(DefinitionError, match=r"tenant\.yaml:3: the environment variable `SHOP_TOKEN` is not set"):
        await apply_folder(write_folder(tmp_path, WITH_SECRET), services)
    assert await tenant_named(services.database, "bakery") is None
