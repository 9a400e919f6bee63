"""What is stored, as the files that say so: for the admin API and for exports."""

from typing import Any  # what files hold is untyped until a form has checked it

import msgspec

from frontdesk.agents.models import Agent, Alias, Definitions, Tenant
from frontdesk.tools.types import ToolDefinition

# By file name (`agents/billing.yaml`): what stands in the file; of a prompt its text.
Values = dict[str, Any]


def values_of(definitions: Definitions) -> Values:
    """Complete, with the defaults. `tenant.yaml` is without `secrets`, which are no definitions."""
    return (
        {"tenant.yaml": tenant_values(definitions.tenant), "llm.yaml": {"aliases": _aliases(definitions)}}
        | {f"agents/{name}.yaml": agent_values(agent) for name, agent in definitions.agents.items()}
        | {f"tools/{name}.yaml": tool_values(tool) for name, tool in definitions.tools.items()}
        | {f"prompts/{name}.md": prompt.template for name, prompt in definitions.prompts.items()}
    )


def tenant_values(tenant: Tenant) -> dict[str, Any]:
    settings: dict[str, Any] = _plain(tenant.settings)
    return {"slug": tenant.slug, "name": tenant.name} | settings


def agent_values(agent: Agent) -> dict[str, Any]:
    values: dict[str, Any] = _plain(agent)
    del values["name"]
    return values | {"max_cost_usd": float(agent.max_cost_usd)}


def tool_values(tool: ToolDefinition) -> dict[str, Any]:
    values: dict[str, Any] = _plain(tool)
    del values["name"]
    return {values.pop("kind"): values.pop("config")} | values


def alias_values(alias: Alias) -> dict[str, Any]:
    """Targets of one rank are equals."""
    values: dict[str, Any] = _plain(alias)
    chain: dict[int, list[dict[str, Any]]] = {}
    for target in values.pop("targets"):
        chain.setdefault(target.pop("rank"), []).append(target)
    del values["name"]
    return {"chain": [chain[rank] for rank in sorted(chain)]} | values


def _aliases(definitions: Definitions) -> dict[str, Any]:
    return {name: alias_values(alias) for name, alias in definitions.aliases.items()}


def _plain(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))
