"""A scripted model, and a desk on which an agent runs: real gateway, real toolbox, real records."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from prometheus_client import CollectorRegistry
from tests.alone import alone

from frontdesk.agents.live import Live, Status
from frontdesk.agents.models import (
    Agent,
    AgentOutcome,
    Alias,
    Definitions,
    Prompt,
    Step,
    Target,
    Tenant,
    TenantSettings,
)
from frontdesk.agents.prompts import Prompts
from frontdesk.agents.runner import Runner
from frontdesk.agents.turn import AgentTurn
from frontdesk.core import json
from frontdesk.core.clock import SystemClock
from frontdesk.core.ids import new_id
from frontdesk.db import Database
from frontdesk.knowledge.models import Passage
from frontdesk.llm.gateway import Gateway, GatewayLimits
from frontdesk.llm.metrics import LLMMetrics
from frontdesk.llm.prices import Prices
from frontdesk.llm.types import (
    LLMRequest,
    LLMResponse,
    Provider,
    ProviderFailure,
    Restart,
    Role,
    StopReason,
    TextDelta,
    ToolCall,
    Usage,
)
from frontdesk.telemetry.metrics import Metrics
from frontdesk.tools.http import HttpTool
from frontdesk.tools.knowledge import KnowledgeTool
from frontdesk.tools.metrics import ToolMetrics
from frontdesk.tools.outbound import Outbound
from frontdesk.tools.python import PythonFiles, PythonTool
from frontdesk.tools.records import PostgresRecords
from frontdesk.tools.templates import Templates
from frontdesk.tools.toolbox import Toolbox
from frontdesk.tools.types import ToolDefinition, ToolKind

Reply = LLMResponse | ProviderFailure | Callable[[LLMRequest], "LLMResponse"]


def says(text: str, *calls: ToolCall, tokens: int = 10, stop: StopReason | None = None) -> LLMResponse:
    reason = stop or (StopReason.TOOL_CALLS if calls else StopReason.STOP)
    return LLMResponse(text, calls, reason, Usage(input_tokens=tokens, output_tokens=1), "scripted", "m1")


def calls(name: str, arguments: dict[str, Any] | None, call_id: str = "") -> ToolCall:
    raw = "{broken" if arguments is None else json.dumps_text(arguments)
    return ToolCall(call_id or f"call-{new_id().hex[:6]}", name, arguments, raw)


class ScriptedProvider:
    """Gives the replies in order, in pieces of three characters; the last one stands for all that follow."""

    def __init__(self, name: str, *replies: Reply) -> None:
        self.name = name
        self.replies: list[Reply] = list(replies)
        self.requests: list[LLMRequest] = []
        self.cut_after: int | None = None  # characters, in the first stream only
        self.hold: asyncio.Event | None = None

    async def generate(self, request: LLMRequest) -> LLMResponse:
        async for delta in self.stream(request):
            if isinstance(delta, LLMResponse):
                return delta
        raise AssertionError

    async def stream(self, request: LLMRequest) -> AsyncGenerator[TextDelta | LLMResponse, None]:
        self.requests.append(request)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if self.hold is not None:
            await self.hold.wait()
        if isinstance(reply, ProviderFailure):
            raise reply
        response = reply if isinstance(reply, LLMResponse) else reply(request)
        response = msgspec.structs.replace(response, provider=self.name, model=request.model)
        for start in range(0, len(response.text), 3):
            yield TextDelta(response.text[start : start + 3])
        yield response

    async def check(self) -> None:
        return None

    async def models(self) -> list[str]:
        return ["m1"]

    def results(self) -> list[dict[str, Any]]:
        """What the model was last told by tools."""
        return [json.loads(message.text) for message in self.requests[-1].messages if message.role is Role.TOOL]


PASSAGES = [
    Passage(UUID(int=7), UUID(int=1), "hours.md", "Hours", "Visitors", 100, 163,
            "Visitors are welcome from 14:00 to 19:00. Children need company.", 0.8),
    Passage(UUID(int=8), UUID(int=2), "parking.md", "Parking", "", 0, 23, "Parking costs 2 euros.", 0.6),
]  # fmt: skip

MODULE = """
import asyncio
from frontdesk.core.errors import DatabaseUnavailable
from frontdesk.tools.types import NeedsInput, ToolError

made = []          # every call, as it begins
meet = asyncio.Barrier(2)


async def book(arguments, context):
    made.append(("book", dict(arguments), context.idempotency_key))
    if arguments["time"] == "14:00":
        raise NeedsInput("time", "14:00 is taken. 15:00 or 16:00?", ("15:00", "16:00"))
    key = f"{arguments['date']}/{arguments['time']}"
    stored = await context.records.insert("slots", key, {"contact": context.contact}, context.idempotency_key)
    if stored is None:
        raise ToolError("That time is taken.")
    return {"message": f"Booked {key}."}


async def crash(arguments, context):
    made.append(("crash", dict(arguments), context.idempotency_key))
    raise DatabaseUnavailable("The database is not reachable.")


async def together(arguments, context):
    async with asyncio.timeout(180):
        await meet.wait()
    return {"met": arguments["n"]}


async def hang(arguments, context):
    await asyncio.Event().wait()
"""

BOOK = {
    "type": "object",
    "required": ["date", "time", "email"],
    "properties": {
        "date": {"type": "string", "format": "date", "x-question": {"en": "On which day?", "de": "An welchem Tag?"}},
        "time": {"type": "string", "format": "time"},
        "email": {"type": "string", "format": "email", "x-question": "Your email address?"},
        "kind": {"type": "string", "enum": ["short", "long"], "x-question": "Which kind?"},
    },
}
NUMBER = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
NOTHING = {"type": "object", "properties": {}}
QUERY = {"type": "object", "required": ["query"], "properties": {"query": {"type": "string"}}}


def python(name: str, schema: dict[str, Any], **fields: Any) -> ToolDefinition:
    config = {"file": "desk.py", "function": fields.pop("function", name)}
    return ToolDefinition(name, ToolKind.PYTHON, f"The tool {name}.", schema, config=config, **fields)


TOOLS = {
    tool.name: tool
    for tool in (
        python("book", BOOK, side_effects=True, output_template="{{ result.message }}"),
        python("crash", NUMBER, side_effects=True),
        python("together", NUMBER),
        python("hang", NOTHING),
        ToolDefinition("search", ToolKind.KNOWLEDGE, "Searches the documents.", QUERY),
        ToolDefinition("pay", ToolKind.HTTP, "Pays.", NUMBER, side_effects=True,
                       config={"url": "https://pay.example/", "method": "POST"}),
    )
}  # fmt: skip
AGENT = Agent("desk", "Front desk", "You serve at the desk.", tools=tuple(TOOLS), prompt="desk", model="smart")
FULL = {"date": "2026-11-27", "time": "15:00", "email": "ana@example.org"}


async def search(_tenant_id: UUID, _query: str, *, top_k: int, min_score: float) -> list[Passage]:
    return PASSAGES


@dataclass
class Desk:
    """Runs the agent on a turn and remembers what it told live and what it kept."""

    runner: Runner
    database: Database
    tenant_id: UUID
    files: PythonFiles
    folder: Path
    targets: tuple[Target, ...]
    outbound: Outbound
    turn_id: UUID = field(default_factory=new_id)
    live: list[Live] = field(default_factory=list)
    kept: list[Step] = field(default_factory=list)
    turn: AgentTurn | None = None

    def definitions(self, agent: Agent, tools: dict[str, ToolDefinition] | None = None) -> Definitions:
        settings = TenantSettings(languages=("en", "de"), time_zone="Europe/Berlin")
        return Definitions(
            tenant=Tenant(self.tenant_id, "acme", "Acme", 1, settings),
            agents={agent.name: agent},
            tools=TOOLS if tools is None else tools,
            prompts={"desk": Prompt("desk", 1, "You serve at the desk of {{ organisation }}.")},
            aliases={"smart": Alias("smart", self.targets)},
        )

    async def run(self, message: str = "Hello", agent: Agent = AGENT, **fields: Any) -> AgentOutcome:
        async def record(step: Step) -> None:
            # As the database keeps it: through JSON.
            self.kept.append(msgspec.json.decode(msgspec.json.encode(step), type=Step))

        self.live = []
        self.turn = AgentTurn(
            definitions=self.definitions(agent),
            turn_id=self.turn_id,
            conversation_id=UUID(int=5),
            contact="u1",
            query=fields.pop("query", message),
            message=message,
            now=datetime(2026, 11, 21, 9, 30, tzinfo=UTC),
            language=fields.pop("language", "en"),
            record_step=fields.pop("record_step", record),
            **fields,
        )
        return await self.runner.run(self.turn, agent, self.live.append)

    def shown(self) -> str:
        """The text that a connected contact has in front of them."""
        text = ""
        for event in self.live:
            if isinstance(event, Restart):
                text = ""
            elif isinstance(event, TextDelta):
                text += event.text
        return text

    def statuses(self) -> list[tuple[str, str | None]]:
        return [(event.text, event.tool) for event in self.live if isinstance(event, Status)]

    def made(self) -> list[tuple[str, dict[str, Any], str]]:
        """Calls that python tools have really got."""
        module = self.files.load(self.files.path("acme", "desk.py"))
        calls_made: list[tuple[str, dict[str, Any], str]] = module.made
        return calls_made

    async def slots(self) -> list[str]:
        return [key for key, _ in await PostgresRecords(self.database, self.tenant_id, self.turn_id).find("slots", {})]


def build_desk(
    database: Database, tenant_id: UUID, folder: Path, providers: Sequence[Provider], targets: tuple[Target, ...]
) -> Desk:
    (folder / "desk.py").write_text(MODULE)
    registry = CollectorRegistry()
    files, clock, templates = PythonFiles({"acme": folder}), SystemClock(), Templates()
    limits = GatewayLimits(attempts=1)
    gateway = Gateway(
        {provider.name: provider for provider in providers},
        clock,
        limits,
        Prices({}, {"local", "scripted", "backup"}),
        LLMMetrics(registry),
        **alone(clock),
    )
    outbound = Outbound()

    async def no_secrets(_tenant_id: UUID, _name: str) -> str | None:
        return None

    toolbox = Toolbox(
        {
            ToolKind.HTTP: lambda tool, owner: HttpTool(tool, owner.http_allow, outbound, no_secrets),
            ToolKind.PYTHON: lambda tool, owner: PythonTool(tool, owner.slug, files),
            ToolKind.KNOWLEDGE: lambda tool, owner: KnowledgeTool(tool, owner.min_score, search),
        },
        templates,
        clock,
        ToolMetrics(registry),
    )
    records = partial(PostgresRecords, database)
    runner = Runner(gateway, toolbox, Prompts(Metrics(registry)), templates, records, clock)
    return Desk(runner, database, tenant_id, files, folder, targets, outbound)
