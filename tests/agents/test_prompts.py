"""Prompts: rendered from what does not change, previewed, compared, kept compiled."""

from time import process_time
from uuid import UUID

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from frontdesk.agents.models import Agent, Definitions, Prompt, Tenant, TenantSettings
from frontdesk.agents.prompts import Prompts, diff
from frontdesk.core.errors import DefinitionError
from frontdesk.telemetry.metrics import Metrics
from frontdesk.tools.templates import TemplateFailed
from frontdesk.tools.types import ToolDefinition, ToolKind

AGENT = Agent("desk", "Front desk", "You serve.", tools=("search",), prompt="desk")
DEFINITIONS = Definitions(
    tenant=Tenant(UUID(int=1), "acme", "Acme", 1, TenantSettings(languages=("en", "de"))),
    agents={"desk": AGENT, "billing": Agent("billing", "Billing", "Bills.")},
    tools={"search": ToolDefinition("search", ToolKind.KNOWLEDGE, "Searches.", {})},
    prompts={"desk": Prompt("desk", 1, "{{ agent.title }} of {{ organisation }}: {{ tools[0].name }} {{ languages }}")},
    aliases={},
)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def prompts(registry: CollectorRegistry) -> Prompts:
    return Prompts(Metrics(registry))


def test_instructions_are_the_prompt_with_its_values(prompts: Prompts) -> None:
    assert prompts.instructions(DEFINITIONS, AGENT) == "Front desk of Acme: search ['en', 'de']"


def test_an_agent_without_a_prompt_goes_by_its_description(prompts: Prompts) -> None:
    assert prompts.instructions(DEFINITIONS, msgspec.structs.replace(AGENT, prompt="")) == "You serve."


def test_a_preview_shows_what_would_be(prompts: Prompts) -> None:
    template = "{% for each in colleagues %}{{ each.title }}{% endfor %}"
    assert prompts.preview(DEFINITIONS, AGENT, template) == "Billing"
    with pytest.raises(DefinitionError, match=r"^desk:1:"):
        prompts.preview(DEFINITIONS, AGENT, "{% for %}")
    with pytest.raises(TemplateFailed, match="'now' is undefined"):
        prompts.preview(DEFINITIONS, AGENT, "{{ now }}")


def test_a_diff_names_the_versions() -> None:
    text = diff(Prompt("desk", 1, "One\nTwo"), Prompt("desk", 2, "One\nThree"))
    assert text.splitlines()[:2] == ["--- desk (version 1)", "+++ desk (version 2)"]
    assert text.splitlines()[-2:] == ["-Two", "+Three"]
    assert diff(Prompt("desk", 1, "One"), Prompt("desk", 2, "One")) == ""


def test_a_diff_of_long_texts_is_one_change_between_what_is_the_same() -> None:
    lines = [f"line {number}" for number in range(3000)]
    changed = [*lines[:1000], "another", "and another", *lines[1002:]]
    text = diff(Prompt("desk", 1, "\n".join(lines)), Prompt("desk", 2, "\n".join(changed)))
    assert text.splitlines() == [
        "--- desk (version 1)", "+++ desk (version 2)", "@@ -1001,2 +1001,2 @@", "-line 1000", "-line 1001", "+another",
        "+and another",
    ]  # fmt: skip
    assert diff(Prompt("desk", 1, "\n".join(lines)), Prompt("desk", 2, "\n".join(lines))) == ""
    longer = diff(Prompt("desk", 1, "a\n" * 3000), Prompt("desk", 2, "a\n" * 3001))
    assert longer.splitlines()[2:] == ["@@ -3000,0 +3001,1 @@", "+a"]


def test_a_diff_of_lines_in_another_order_takes_no_longer_than_a_moment() -> None:
    """It is made on the loop that serves all tenants, of texts that one of them writes."""

    def took(count: int) -> float:
        lines = [chr(0x4E00 + number % 120) for number in range(count)]
        begun = process_time()
        diff(Prompt("desk", 1, "\n".join(lines)), Prompt("desk", 2, "\n".join(reversed(lines))))
        return process_time() - begun

    assert took(12_000) < 20 * took(1_500)  # five hundred times as much where each line is compared with each


def test_compiled_prompts_are_kept_and_counted(prompts: Prompts, registry: CollectorRegistry) -> None:
    for _ in range(3):
        prompts.instructions(DEFINITIONS, AGENT)
    counts = [
        registry.get_sample_value("frontdesk_cache_total", {"cache": "prompts", "outcome": outcome})
        for outcome in ("hit", "miss")
    ]
    assert counts == [2, 1]


def test_a_prompt_that_begins_again_at_version_one_is_not_mistaken_for_the_old_one(prompts: Prompts) -> None:
    assert prompts.render(UUID(int=1), Prompt("desk", 1, "Old"), {}) == "Old"
    assert prompts.render(UUID(int=1), Prompt("desk", 1, "New"), {}) == "New"
