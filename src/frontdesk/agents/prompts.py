"""Prompts: versioned templates of a tenant, rendered into the stable part of an agent's instructions."""

import difflib
from collections.abc import Sequence
from uuid import UUID

from cachetools import LRUCache

from frontdesk.agents.models import Agent, Definitions, Prompt
from frontdesk.core.caches import forget
from frontdesk.telemetry.metrics import Metrics
from frontdesk.tools.templates import Templates
from frontdesk.tools.types import JSONObject

_CACHED = 8_000_000  # characters
_COMPILED = 100  # a template is used once a version of its tenant, and its text is kept
# Lines that are compared one by one, on the loop: the work may grow with their third power, to 30 ms for so many.
_MOST_COMPARED = 2_000


class Prompts:
    """Renders prompts; compiled templates are kept by tenant, name and version, instructions by that of the tenant."""

    def __init__(self, metrics: Metrics) -> None:
        self._hits, misses = metrics.cache.labels("prompts", "hit"), metrics.cache.labels("prompts", "miss")
        self._templates = Templates(lambda is_hit: (self._hits if is_hit else misses).inc(), most=_COMPILED)
        self._rendered: LRUCache[tuple[UUID, int, str, str], str] = LRUCache(_CACHED, len)

    def instructions(self, definitions: Definitions, agent: Agent) -> str:
        """The agent's prompt with its values; its description when it has no prompt. Raises TemplateFailed."""
        prompt = definitions.prompts.get(agent.prompt)
        if prompt is None:
            return agent.description
        tenant = definitions.tenant
        key = (tenant.id, tenant.version, agent.name, prompt.template)
        known = self._rendered.get(key)
        if known is not None:
            self._hits.inc()
            return known
        rendered = self._rendered[key] = self.render(tenant.id, prompt, prompt_values(definitions, agent))
        return rendered

    def render(self, tenant_id: UUID, prompt: Prompt, values: JSONObject) -> str:
        # With the text in the key, as a prompt that was deleted begins again at version 1.
        return self._templates.render(
            (tenant_id, prompt.name, prompt.version, prompt.template), prompt.template, values
        )

    def forget(self, tenant_id: UUID) -> None:
        forget(self._rendered, tenant_id)

    def check(self, template: str, name: str) -> None:
        """Raises DefinitionError that starts with `name:line:`."""
        self._templates.check(template, name)

    def preview(self, definitions: Definitions, agent: Agent, template: str) -> str:
        """What the agent's instructions would be with `template`. Raises DefinitionError or TemplateFailed."""
        self.check(template, agent.prompt or agent.name)
        return self._templates.render(("preview", template), template, prompt_values(definitions, agent))


def prompt_values(definitions: Definitions, agent: Agent) -> JSONObject:
    """What a prompt's template may use. Nothing that changes by turn: providers cache what begins the same."""
    tenant = definitions.tenant
    tools = [definitions.tools[name] for name in agent.tools if name in definitions.tools]
    others = [each for each in definitions.agents.values() if each.name != agent.name]
    return {
        "organisation": tenant.name,
        "languages": list(tenant.settings.languages),
        "time_zone": tenant.settings.time_zone,
        "agent": {"name": agent.name, "title": agent.title, "description": agent.description},
        "tools": [{"name": tool.name, "description": tool.description} for tool in tools],
        "colleagues": [{"name": each.name, "title": each.title, "description": each.description} for each in others],
    }


def diff(before: Prompt, after: Prompt) -> str:
    """A unified diff of two versions; empty when their texts are the same. Of long texts all that stands between their
    common beginning and end is one change."""
    old, new = before.template.splitlines(), after.template.splitlines()
    titles = f"{before.name} (version {before.version})", f"{after.name} (version {after.version})"
    if max(len(old), len(new)) <= _MOST_COMPARED:
        return "\n".join(difflib.unified_diff(old, new, *titles, lineterm=""))
    if old == new:
        return ""
    begin = _same(old, new)
    end = min(_same(old[::-1], new[::-1]), min(len(old), len(new)) - begin)
    old, new = old[begin : len(old) - end], new[begin : len(new) - end]
    place = f"@@ -{begin + bool(old)},{len(old)} +{begin + bool(new)},{len(new)} @@"
    changed = [*(f"-{line}" for line in old), *(f"+{line}" for line in new)]
    return "\n".join((f"--- {titles[0]}", f"+++ {titles[1]}", place, *changed))


def _same(one: Sequence[str], other: Sequence[str]) -> int:
    """How many lines both begin with."""
    return next((at for at, (left, right) in enumerate(zip(one, other, strict=False)) if left != right),
                min(len(one), len(other)))  # fmt: skip
