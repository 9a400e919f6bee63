"""Definitions in PostgreSQL: put, read whole, numbered, and no other tenant's."""

import asyncio
from decimal import Decimal
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from frontdesk.agents import store
from frontdesk.agents.definitions import DefinitionsCache
from frontdesk.agents.models import Agent, Alias, Target
from frontdesk.core.errors import NotFound, TenantNotFound
from frontdesk.core.ids import new_id
from frontdesk.core.limits import Limits
from frontdesk.db import Database
from frontdesk.telemetry.metrics import Metrics
from frontdesk.tools.types import ToolDefinition, ToolKind

SEARCH = ToolDefinition(
    "search", ToolKind.KNOWLEDGE, "Searches.", {"type": "object", "required": ["query"]}, examples=("Where?",)
)
PAY = ToolDefinition("pay", ToolKind.HTTP, "Pays.", {"type": "object"}, side_effects=True, config={"url": "https://x"})
AGENT = Agent(
    "desk",
    "Front desk",
    "Serves.",
    examples=("Hi",),
    tools=("search", "pay"),
    max_cost_usd=Decimal("0.25"),
    prompt="desk",
)
SMART = Alias("smart", (Target("openai", "m"), Target("local", "extractive", 1)), temperature=0.2)


async def put_all(database: Database, tenant_id: UUID) -> None:
    async with database.scope(tenant_id) as scope:
        await store.put_tool(scope, SEARCH)
        await store.put_tool(scope, PAY)
        await store.put_agent(scope, AGENT)
        await store.put_alias(scope, SMART)
        await store.put_prompt(scope, "desk", "You serve.")


async def test_what_was_put_is_read_whole(database: Database, tenant_id: UUID) -> None:
    await put_all(database, tenant_id)
    async with database.scope(tenant_id) as scope:
        definitions = await store.load_definitions(scope)
    assert definitions.agents == {"desk": AGENT}
    assert definitions.tools == {"search": SEARCH, "pay": PAY}
    assert definitions.aliases == {"smart": SMART}
    assert (definitions.prompts["desk"].version, definitions.prompts["desk"].template) == (1, "You serve.")
    assert (definitions.tenant.id, definitions.tenant.slug, definitions.tenant.name) == (tenant_id, "acme", "Acme")
    assert definitions.tenant.settings.window_messages == 10


async def test_an_agents_tools_keep_their_order_and_can_change(database: Database, tenant_id: UUID) -> None:
    await put_all(database, tenant_id)
    for tools in (("pay", "search"), ("pay",), (), ("search", "pay", "search")):
        async with database.scope(tenant_id) as scope:
            await store.put_agent(scope, Agent("desk", "Desk", "Serves.", tools=tools))
            definitions = await store.load_definitions(scope)
        assert definitions.agents["desk"].tools == tuple(dict.fromkeys(tools))


async def test_a_tool_that_is_deleted_leaves_the_agents(database: Database, tenant_id: UUID) -> None:
    await put_all(database, tenant_id)
    async with database.scope(tenant_id) as scope:
        await store.delete_tool(scope, "search")
        await store.delete_tool(scope, "search")
        await store.delete_alias(scope, "smart")
        definitions = await store.load_definitions(scope)
        assert (definitions.agents["desk"].tools, definitions.aliases) == (("pay",), {})
        await store.delete_agent(scope, "desk")
        await store.delete_prompt(scope, "desk")
        definitions = await store.load_definitions(scope)
        assert (definitions.agents, definitions.prompts) == ({}, {})


async def test_a_prompt_gets_a_new_version_when_its_text_differs(database: Database, tenant_id: UUID) -> None:
    async with database.scope(tenant_id) as scope:
        versions = [(await store.put_prompt(scope, "desk", text)).version for text in ("a", "a", "b", "a")]
        assert versions == [1, 1, 2, 3]
        assert [prompt.template for prompt in await store.prompt_versions(scope, "desk")] == ["a", "b", "a"]
        assert (await store.prompt_at(scope, "desk", 2)).template == "b"
        with pytest.raises(NotFound, match="no version 9"):
            await store.prompt_at(scope, "desk", 9)
        definitions = await store.load_definitions(scope)
        assert definitions.prompts["desk"].version == 3


async def test_the_version_grows_one_after_the_other(database: Database, tenant_id: UUID) -> None:
    async def bump() -> int:
        async with database.scope(tenant_id) as scope:
            await store.lock_version(scope)
            return await store.bump_version(scope)

    assert sorted(await asyncio.gather(*(bump() for _ in range(5)))) == [2, 3, 4, 5, 6]


async def test_another_tenant_sees_none_of_it(database: Database, tenant_id: UUID, other_tenant_id: UUID) -> None:
    await put_all(database, tenant_id)
    async with database.scope(other_tenant_id) as scope:
        definitions = await store.load_definitions(scope)
    assert (definitions.agents, definitions.tools, definitions.prompts, definitions.aliases) == ({}, {}, {}, {})
    with pytest.raises(TenantNotFound):
        async with database.scope(new_id()) as scope:
            await store.load_definitions(scope)


async def test_definitions_are_loaded_once_per_version(database: Database, tenant_id: UUID) -> None:
    registry = CollectorRegistry()
    cache = DefinitionsCache(database, Metrics(registry), Limits())
    several = await asyncio.gather(*(cache.at(tenant_id, 1) for _ in range(5)))
    assert all(each is several[0] for each in several)
    labels = {"cache": "definitions", "outcome": "miss"}
    assert registry.get_sample_value("frontdesk_cache_total", labels) == 1
    await put_all(database, tenant_id)
    async with database.scope(tenant_id) as scope:
        version = await store.bump_version(scope)
    assert "desk" not in (await cache.at(tenant_id, 1)).agents
    assert "desk" in (await cache.at(tenant_id, version)).agents


async def test_the_oldest_versions_of_a_prompt_go(
    database: Database, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MOST_VERSIONS", 3)
    async with database.scope(tenant_id) as scope:
        for text in "abcdee":
            await store.put_prompt(scope, "desk", text)
        await store.put_prompt(scope, "other", "a")
        assert [each.version for each in await store.prompt_versions(scope, "desk")] == [5, 4, 3]
        assert [each.version for each in await store.prompt_versions(scope, "other")] == [1]
