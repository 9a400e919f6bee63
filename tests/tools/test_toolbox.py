"""Calls through the toolbox: the contract of all kinds of tools, and clear results whatever a tool does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry
from tests.tools.tool_service import Service

from frontdesk.core.clock import SystemClock
from frontdesk.core.errors import DatabaseUnavailable, DefinitionError
from frontdesk.core.ids import new_id
from frontdesk.knowledge.models import Passage
from frontdesk.tools.http import HttpTool
from frontdesk.tools.knowledge import KnowledgeTool
from frontdesk.tools.metrics import ToolMetrics
from frontdesk.tools.outbound import Outbound
from frontdesk.tools.python import PythonFiles, PythonTool
from frontdesk.tools.templates import Templates
from frontdesk.tools.toolbox import Toolbox
from frontdesk.tools.types import Owner, ToolContext, ToolDefinition, ToolKind, ToolResult, ToolStatus

QUERY = {"type": "object", "required": ["query"], "properties": {"query": {"type": "string"}}}

MODULE = """
import asyncio
from datetime import date
from frontdesk.core.errors import DatabaseUnavailable
from frontdesk.tools.types import NeedsInput, ToolError

async def ok(arguments, context):
    return {"got": arguments["query"], "on": date(2026, 11, 27)}

async def fails(arguments, context):
    raise ToolError("It is closed.")

async def breaks(arguments, context):
    raise ValueError(f"secret {arguments}")

async def hangs(arguments, context):
    await asyncio.Event().wait()

async def floods(arguments, context):
    return {"x": "y" * 100_000}

async def nonsense(arguments, context):
    return object()

async def asks(arguments, context):
    raise NeedsInput("time", "At what time?", ("9:00",))

async def is_away(arguments, context):
    raise DatabaseUnavailable("The database is not reachable.")
"""


async def search(_tenant_id: UUID, query: str, *, top_k: int, min_score: float) -> list[Passage]:
    if query == "hang":
        await asyncio.Event().wait()
    if query == "fail":
        raise OSError("disk")
    document = new_id()
    return [
        Passage(new_id(), document, "hours.md", "Hours", "Opening", 0, 11, f"We are {query}", 0.9 - n / 10)
        for n in range(top_k)
        if 0.9 - n / 10 >= min_score
    ]


class Kit:
    """A toolbox with all kinds, and what their tools talk to."""

    def __init__(self, service: Service, folder: Path) -> None:
        self.service = service
        self.outbound = Outbound()
        self.files = PythonFiles({"acme": folder})
        self.registry = CollectorRegistry()
        self.owner = Owner(new_id(), "acme", 1, http_allow=("127.0.0.1",))
        (folder / "desk.py").write_text(MODULE)

        async def secrets(_tenant_id: UUID, _name: str) -> str | None:
            return None

        self.toolbox = Toolbox(
            {
                ToolKind.HTTP: lambda tool, owner: HttpTool(tool, owner.http_allow, self.outbound, secrets),
                ToolKind.PYTHON: lambda tool, owner: PythonTool(tool, owner.slug, self.files),
                ToolKind.KNOWLEDGE: lambda tool, owner: KnowledgeTool(tool, owner.min_score, search),
            },
            Templates(),
            SystemClock(),
            ToolMetrics(self.registry),
        )

    def definition(self, kind: ToolKind, behaviour: str, **fields: Any) -> ToolDefinition:
        config = {
            ToolKind.HTTP: {"url": f"{self.service.url}/{behaviour}", "retries": 0},
            ToolKind.PYTHON: {"file": "desk.py", "function": behaviour},
            ToolKind.KNOWLEDGE: {"top_k": 2},
        }[kind]
        return ToolDefinition("t", kind, "A tool.", QUERY, config=config, **fields)

    async def run(self, definition: ToolDefinition, query: str, context: ToolContext) -> ToolResult:
        self.owner = Owner(self.owner.tenant_id, "acme", self.owner.version + 1, http_allow=("127.0.0.1",))
        bound = self.toolbox.open(self.owner, {"t": definition})["t"]
        checked = bound.arguments.check({"query": query})
        assert checked.is_valid
        return await self.toolbox.run(bound, checked.value, context)


@pytest.fixture
async def kit(service: Service, tmp_path: Path) -> AsyncIterator[Kit]:
    async def behave(request: web.Request) -> web.StreamResponse:
        match request.path:
            case "/ok":
                return web.json_response({"got": request.query["query"]})
            case "/hangs":
                await asyncio.Event().wait()
            case "/breaks":
                assert request.transport is not None
                request.transport.close()
            case "/floods":
                return web.json_response({"x": "y" * 100_000})
            case "/nonsense":
                return web.Response(text="<html>", content_type="text/html")
        return web.json_response({"detail": "It is closed."}, status=409)

    service.handler = behave
    kit = Kit(service, tmp_path)
    yield kit
    await kit.outbound.close()


# The contract: how each kind shows each behaviour.
KINDS = {
    ToolKind.HTTP: {"ok": "ok", "fails": "fails", "breaks": "breaks", "hangs": "hangs"},
    ToolKind.PYTHON: {"ok": "ok", "fails": "fails", "breaks": "breaks", "hangs": "hangs"},
    ToolKind.KNOWLEDGE: {"ok": "open", "fails": "fail", "breaks": "fail", "hangs": "hang"},
}


@pytest.fixture(params=KINDS)
def call(request: pytest.FixtureRequest, kit: Kit, context: ToolContext) -> Callable[..., Any]:
    kind = request.param

    async def make(behaviour: str, **fields: Any) -> ToolResult:
        return await kit.run(kit.definition(kind, behaviour, **fields), KINDS[kind][behaviour], context)

    return make


async def test_every_kind_gives_its_result(call: Callable[..., Any]) -> None:
    result = await call("ok")
    assert result.status is ToolStatus.OK
    assert result.passages or result.data["got"] == "ok"
    assert result.error is None
    assert result.duration_ms >= 0


@pytest.mark.parametrize("behaviour", ["fails", "breaks"])
async def test_every_kind_fails_with_a_sentence(call: Callable[..., Any], behaviour: str) -> None:
    result = await call(behaviour)
    assert result.status is ToolStatus.ERROR
    assert result.error.endswith(".")
    assert "secret" not in result.error
    assert "Traceback" not in result.error


async def test_every_kind_is_bound_in_time(call: Callable[..., Any]) -> None:
    result = await call("hangs", timeout_s=0.05)
    assert (result.status, result.error) == (ToolStatus.TIMEOUT, "The tool did not answer within 0.05 seconds.")


async def test_a_timed_out_tool_with_side_effects_may_have_done_them(kit: Kit, context: ToolContext) -> None:
    definition = kit.definition(ToolKind.PYTHON, "hangs", timeout_s=0.05, side_effects=True)
    assert "may have been done" in str((await kit.run(definition, "x", context)).error)


@pytest.mark.parametrize("kind", [ToolKind.HTTP, ToolKind.PYTHON])
async def test_a_result_too_large_to_read_is_refused(kit: Kit, context: ToolContext, kind: ToolKind) -> None:
    result = await kit.run(kit.definition(kind, "floods"), "x", context)
    assert (result.status, result.data) == (ToolStatus.ERROR, None)
    assert "too large to read (97 KB, at most 32)" in str(result.error)


@pytest.mark.parametrize("kind", [ToolKind.HTTP, ToolKind.PYTHON])
async def test_nonsense_is_said(kit: Kit, context: ToolContext, kind: ToolKind) -> None:
    result = await kit.run(kit.definition(kind, "nonsense"), "x", context)
    assert result.status is ToolStatus.ERROR
    assert "not JSON" in str(result.error)


async def test_a_result_that_breaks_its_promise_is_refused(kit: Kit, context: ToolContext) -> None:
    promise = {"type": "object", "required": ["id"]}
    result = await kit.run(kit.definition(ToolKind.HTTP, "ok", output_schema=promise), "x", context)
    assert result.error == "The tool's result is not of the form that it promises: id is missing."
    kept = {"type": "object", "required": ["got", "on"], "properties": {"on": {"type": "string", "format": "date"}}}
    result = await kit.run(kit.definition(ToolKind.PYTHON, "ok", output_schema=kept), "x", context)
    assert result.data == {"got": "x", "on": "2026-11-27"}


async def test_the_output_template_makes_the_text(kit: Kit, context: ToolContext) -> None:
    template = "You asked *{{ arguments.query }}* and got {{ result.got }}."
    result = await kit.run(kit.definition(ToolKind.HTTP, "ok", output_template=template), "x", context)
    assert result.text == "You asked *x* and got x."
    broken = await kit.run(kit.definition(ToolKind.HTTP, "ok", output_template="{{ result.nope }}"), "x", context)
    assert (broken.status, broken.text, broken.data) == (ToolStatus.OK, None, {"got": "x"})


async def test_a_tool_may_ask(kit: Kit, context: ToolContext) -> None:
    result = await kit.run(kit.definition(ToolKind.PYTHON, "asks"), "x", context)
    assert result.status is ToolStatus.NEEDS
    assert [(need.parameter, need.options) for need in result.needs] == [("time", ("9:00",))]


async def test_without_the_database_the_turn_waits(kit: Kit, context: ToolContext) -> None:
    with pytest.raises(DatabaseUnavailable):
        await kit.run(kit.definition(ToolKind.PYTHON, "is_away"), "x", context)


async def test_a_tool_that_can_not_be_built_does_not_keep_the_others_away(kit: Kit) -> None:
    good = kit.definition(ToolKind.PYTHON, "ok")
    bad = ToolDefinition("bad", ToolKind.HTTP, "", QUERY, config={"url": "ftp://x"})
    assert list(kit.toolbox.open(kit.owner, {"bad": bad, "t": good})) == ["t"]


async def test_tools_are_built_once_per_version(kit: Kit) -> None:
    definitions = {"t": kit.definition(ToolKind.PYTHON, "ok")}
    first = kit.toolbox.open(kit.owner, definitions)
    assert kit.toolbox.open(kit.owner, definitions) is first
    assert kit.toolbox.open(Owner(kit.owner.tenant_id, "acme", 99), definitions) is not first


@pytest.mark.parametrize(
    ("definition", "what"),
    [
        (ToolDefinition("t", ToolKind.KNOWLEDGE, "", {"type": "object"}), "required parameter `query`"),
        (ToolDefinition("t", ToolKind.KNOWLEDGE, "", QUERY, config={"top_k": 0}), "config.top_k"),
        (ToolDefinition("t", ToolKind.KNOWLEDGE, "", QUERY, config={"top": 3}), "top"),
        (ToolDefinition("t", ToolKind.KNOWLEDGE, "", QUERY, timeout_s=0), "timeout_s"),
        (ToolDefinition("t", ToolKind.KNOWLEDGE, "", QUERY, output_template="{{"), "output_template:1"),
        (ToolDefinition("t", ToolKind.KNOWLEDGE, "", QUERY, output_schema={"type": 3}), "Not a JSON Schema"),
    ],
)
async def test_a_wrong_definition_is_refused_before_it_is_stored(
    kit: Kit, definition: ToolDefinition, what: str
) -> None:
    with pytest.raises(DefinitionError) as refused:
        kit.toolbox.check(definition, kit.owner)
    assert what in refused.value.detail


async def test_calls_are_counted_by_kind_and_status(kit: Kit, context: ToolContext) -> None:
    await kit.run(kit.definition(ToolKind.PYTHON, "fails"), "x", context)
    labels = {"tenant": str(context.tenant_id), "kind": "python", "status": "error"}
    assert kit.registry.get_sample_value("frontdesk_tool_calls_total", labels) == 1
