"""A tenant's definitions in PostgreSQL. Written by `apply` in one transaction, read whole, once per version."""

from collections.abc import Collection, Sequence
from typing import Any  # rows of asyncpg

import msgspec

from frontdesk.agents.models import Agent, Alias, Definitions, Prompt, Tenant, TenantSettings
from frontdesk.core.errors import NotFound, TenantNotFound
from frontdesk.db import TenantScope
from frontdesk.privacy.policy import PrivacySettings
from frontdesk.tools.types import ToolDefinition

# Of each kind: more than any tenant has, and a bound on what one read may bring.
MOST = 2_000


# Of a prompt that are kept.
MOST_VERSIONS = 100


async def load_definitions(scope: TenantScope) -> Definitions:
    """All of it at one moment: the tenant's version and what it stands for. Raises TenantNotFound."""
    query = """
        -- Each agent's tools in the order of its file.
        WITH used AS (
            SELECT agent, array_agg(tool ORDER BY place) AS tools
              FROM agent_tools
             WHERE tenant_id = $1
             GROUP BY agent),
        -- The newest version of each prompt.
        newest AS (
            SELECT DISTINCT ON (name) name, template, version
              FROM prompts
             WHERE tenant_id = $1
             ORDER BY name, version DESC
             LIMIT $2)
        SELECT 'tenant' AS kind, slug AS name, settings::text AS body, version, ARRAY[name] AS tools
          FROM tenants
         WHERE id = $1
         UNION ALL
        (SELECT 'agent', a.name, a.definition::text, 0, coalesce(u.tools, '{}')
           FROM agents AS a
           LEFT JOIN used AS u ON u.agent = a.name
          WHERE a.tenant_id = $1
          LIMIT $2)
         UNION ALL
        (SELECT 'tool', name, definition::text, 0, '{}'
           FROM tools
          WHERE tenant_id = $1
          LIMIT $2)
         UNION ALL
        (SELECT 'alias', name, definition::text, 0, '{}'
           FROM aliases
          WHERE tenant_id = $1
          LIMIT $2)
         UNION ALL
        SELECT 'prompt', name, template, version, '{}'
          FROM newest
    """
    rows = await scope.fetch(query, scope.tenant_id, MOST)
    by_kind: dict[str, list[Any]] = {kind: [] for kind in ("tenant", "agent", "tool", "alias", "prompt")}
    for row in sorted(rows, key=lambda row: str(row["name"])):
        by_kind[row["kind"]].append(row)
    if not by_kind["tenant"]:
        raise TenantNotFound("There is no such tenant.")
    tenant = by_kind["tenant"][0]
    return Definitions(
        tenant=Tenant(
            id=scope.tenant_id,
            slug=tenant["name"],
            name=tenant["tools"][0],
            version=tenant["version"],
            settings=msgspec.json.decode(tenant["body"], type=TenantSettings),
        ),
        agents={row["name"]: _agent(row) for row in by_kind["agent"]},
        tools={row["name"]: msgspec.json.decode(row["body"], type=ToolDefinition) for row in by_kind["tool"]},
        prompts={row["name"]: Prompt(row["name"], row["version"], row["body"]) for row in by_kind["prompt"]},
        aliases={row["name"]: msgspec.json.decode(row["body"], type=Alias) for row in by_kind["alias"]},
    )


async def load_privacy(scope: TenantScope) -> PrivacySettings:
    """What the tenant wants done with personal data, now and without all the rest. Raises TenantNotFound."""
    query = """
        SELECT coalesce(settings -> 'privacy', '{}')::text
          FROM tenants
         WHERE id = $1
    """
    found = await scope.fetchval(query, scope.tenant_id)
    if found is None:
        raise TenantNotFound("There is no such tenant.")
    return msgspec.json.decode(found, type=PrivacySettings)


async def put_agent(scope: TenantScope, agent: Agent) -> None:
    """Stores the agent and which tools it uses; the tools must be stored already."""
    query = """
        WITH agent AS (
            INSERT INTO agents (tenant_id, name, definition)
            VALUES ($1, $2, $3::jsonb)
                ON CONFLICT (tenant_id, name) DO UPDATE
               SET definition = EXCLUDED.definition),
        -- Tools that it no longer uses.
        dropped AS (
            DELETE FROM agent_tools
             WHERE tenant_id = $1
               AND agent = $2
               AND tool <> ALL ($4::text[]))
        INSERT INTO agent_tools (tenant_id, agent, tool, place)
        SELECT $1, $2, used.tool, used.place
          FROM unnest($4::text[]) WITH ORDINALITY AS used (tool, place)
            ON CONFLICT (tenant_id, agent, tool) DO UPDATE
           SET place = EXCLUDED.place
    """
    definition = msgspec.json.encode(msgspec.structs.replace(agent, tools=())).decode()
    await scope.execute(query, scope.tenant_id, agent.name, definition, list(dict.fromkeys(agent.tools)))


async def put_tool(scope: TenantScope, tool: ToolDefinition) -> None:
    query = """
        INSERT INTO tools (tenant_id, name, definition)
        VALUES ($1, $2, $3::jsonb)
            ON CONFLICT (tenant_id, name) DO UPDATE
           SET definition = EXCLUDED.definition
    """
    await scope.execute(query, scope.tenant_id, tool.name, msgspec.json.encode(tool).decode())


async def put_alias(scope: TenantScope, alias: Alias) -> None:
    query = """
        INSERT INTO aliases (tenant_id, name, definition)
        VALUES ($1, $2, $3::jsonb)
            ON CONFLICT (tenant_id, name) DO UPDATE
           SET definition = EXCLUDED.definition
    """
    await scope.execute(query, scope.tenant_id, alias.name, msgspec.json.encode(alias).decode())


async def put_prompt(scope: TenantScope, name: str, template: str) -> Prompt:
    """The prompt at its newest version, which is a new one when the text differs from the last; the oldest goes then,
    where there are MOST_VERSIONS."""
    query = """
        WITH latest AS (
            SELECT version, template
              FROM prompts
             WHERE tenant_id = $1
               AND name = $2
             ORDER BY version DESC
             LIMIT 1),
        -- Nothing when the text is the same.
        made AS (
            INSERT INTO prompts (tenant_id, name, version, template)
            SELECT $1, $2, coalesce((SELECT version FROM latest), 0) + 1, $3
             WHERE NOT EXISTS (SELECT FROM latest WHERE template = $3)
            RETURNING version),
        gone AS (
            DELETE FROM prompts
             WHERE tenant_id = $1
               AND name = $2
               AND version <= (SELECT version FROM made) - $4)
        SELECT coalesce((SELECT version FROM made), (SELECT version FROM latest))
    """
    return Prompt(name, await scope.fetchval(query, scope.tenant_id, name, template, MOST_VERSIONS), template)


async def prompt_versions(scope: TenantScope, name: str, limit: int = 50, below: int | None = None) -> list[Prompt]:
    """Newest first, at most `limit`, those before version `below`."""
    query = """
        SELECT version, template
          FROM prompts
         WHERE tenant_id = $1
           AND name = $2
           AND ($4::int IS NULL OR version < $4)
         ORDER BY version DESC
         LIMIT $3
    """
    rows = await scope.fetch(query, scope.tenant_id, name, limit, below)
    return [Prompt(name, row["version"], row["template"]) for row in rows]


async def prompt_at(scope: TenantScope, name: str, version: int) -> Prompt:
    """Raises NotFound."""
    query = """
        SELECT template
          FROM prompts
         WHERE tenant_id = $1
           AND name = $2
           AND version = $3
    """
    template = await scope.fetchval(query, scope.tenant_id, name, version)
    if template is None:
        raise NotFound(f"There is no version {version} of a prompt {name!r}.")
    return Prompt(name, version, template)


async def delete_agent(scope: TenantScope, name: str) -> None:
    """Its uses of tools go with it. Idempotent, as are the other deletes."""
    await scope.execute("DELETE FROM agents WHERE tenant_id = $1 AND name = $2", scope.tenant_id, name)


async def delete_tool(scope: TenantScope, name: str) -> None:
    await scope.execute("DELETE FROM tools WHERE tenant_id = $1 AND name = $2", scope.tenant_id, name)


async def delete_alias(scope: TenantScope, name: str) -> None:
    await scope.execute("DELETE FROM aliases WHERE tenant_id = $1 AND name = $2", scope.tenant_id, name)


async def delete_prompt(scope: TenantScope, name: str) -> None:
    """With its earlier versions: a prompt put again under this name begins at 1."""
    await scope.execute("DELETE FROM prompts WHERE tenant_id = $1 AND name = $2", scope.tenant_id, name)


async def file_hashes(scope: TenantScope) -> dict[str, str]:
    """Name -> SHA-256 in hexadecimal, of the files that are kept beside the definitions."""
    query = """
        SELECT name, encode(sha256(content), 'hex') AS hash
          FROM tenant_files
         WHERE tenant_id = $1
         ORDER BY name
         LIMIT $2
    """
    return {row["name"]: row["hash"] for row in await scope.fetch(query, scope.tenant_id, MOST)}


async def files(scope: TenantScope) -> dict[str, bytes]:
    query = """
        SELECT name, content
          FROM tenant_files
         WHERE tenant_id = $1
         ORDER BY name
         LIMIT $2
    """
    return {row["name"]: row["content"] for row in await scope.fetch(query, scope.tenant_id, MOST)}


async def put_file(scope: TenantScope, name: str, content: bytes) -> None:
    query = """
        INSERT INTO tenant_files (tenant_id, name, content)
        VALUES ($1, $2, $3)
            ON CONFLICT (tenant_id, name) DO UPDATE
           SET content = EXCLUDED.content
    """
    await scope.execute(query, scope.tenant_id, name, content)


async def delete_file(scope: TenantScope, name: str) -> None:
    await scope.execute("DELETE FROM tenant_files WHERE tenant_id = $1 AND name = $2", scope.tenant_id, name)


async def applied(scope: TenantScope) -> frozenset[tuple[str, str]]:
    """(kind, name) of what the last apply found in the files."""
    query = """
        SELECT kind, name
          FROM applied
         WHERE tenant_id = $1
         LIMIT $2
    """
    return frozenset((row["kind"], row["name"]) for row in await scope.fetch(query, scope.tenant_id, 10 * MOST))


async def put_applied(scope: TenantScope, kinds: Sequence[str], found: Collection[tuple[str, str]]) -> None:
    """Of these kinds exactly `found`."""
    query = """
        WITH found AS (
            SELECT * FROM unnest($3::text[], $4::text[]) AS f (kind, name)),
        gone AS (
            DELETE FROM applied AS a
             WHERE a.tenant_id = $1
               AND a.kind = ANY ($2)
               AND NOT EXISTS (SELECT FROM found AS f WHERE f.kind = a.kind AND f.name = a.name))
        INSERT INTO applied (tenant_id, kind, name)
        SELECT $1, f.kind, f.name
          FROM found AS f
            ON CONFLICT DO NOTHING
    """
    listed = sorted(found)
    await scope.execute(query, scope.tenant_id, list(kinds), [kind for kind, _ in listed], [name for _, name in listed])


async def lock_version(scope: TenantScope) -> int:
    """The tenant's version, held until the scope ends: two who change definitions do so one after the other."""
    query = """
        SELECT version
          FROM tenants
         WHERE id = $1
           FOR UPDATE
    """
    version = await scope.fetchval(query, scope.tenant_id)
    if version is None:
        raise TenantNotFound("There is no such tenant.")
    return int(version)


async def bump_version(scope: TenantScope) -> int:
    """The new version. Every cache that rests on definitions has the version in its key."""
    query = """
        UPDATE tenants
           SET version = version + 1
         WHERE id = $1
        RETURNING version
    """
    version = await scope.fetchval(query, scope.tenant_id)
    if version is None:
        raise TenantNotFound("There is no such tenant.")
    return int(version)


def _agent(row: Any) -> Agent:
    agent = msgspec.json.decode(row["body"], type=Agent)
    return msgspec.structs.replace(agent, tools=tuple(row["tools"]))
