"""The tools of a tenant, built once per version of its definitions, and the one way in which any of them is called."""

import asyncio
import traceback
from collections.abc import Callable, Mapping
from typing import Any  # a tool's result is untyped JSON until its schema has checked it
from uuid import UUID

import msgspec
import structlog
from cachetools import LRUCache

from frontdesk.core import json
from frontdesk.core.caches import forget
from frontdesk.core.clock import Clock
from frontdesk.core.errors import DefinitionError, Unavailable
from frontdesk.llm.types import ToolSpec
from frontdesk.tools.metrics import ToolMetrics
from frontdesk.tools.schema import InputSchema, OutputSchema
from frontdesk.tools.templates import TemplateFailed, Templates
from frontdesk.tools.types import (
    JSONObject,
    NeedsInput,
    Owner,
    Tool,
    ToolContext,
    ToolDefinition,
    ToolError,
    ToolKind,
    ToolResult,
    ToolStatus,
)

log = structlog.get_logger()

# Builds a tool of one kind. Raises DefinitionError.
Maker = Callable[[ToolDefinition, Owner], Tool]

MAX_RESULT_BYTES = 32 * 1024
_CACHED_TOOLS = 10_000


class BoundTool:
    """A tool ready to be called: everything that its definition says is compiled. Raises DefinitionError."""

    def __init__(self, definition: ToolDefinition, tool: Tool) -> None:
        self.definition = definition
        self.tool = tool
        self.arguments = InputSchema(definition.input_schema)
        self.output = None if definition.output_schema is None else OutputSchema(definition.output_schema)
        self.spec = ToolSpec(
            name=definition.name,
            description=definition.description,
            parameters=definition.input_schema,
            kind=definition.kind,
            examples=definition.examples,
        )


class Toolbox:
    """Calls tools. Whatever they do - fail, hang, send megabytes or nonsense - a clear result comes out."""

    def __init__(
        self, makers: Mapping[ToolKind, Maker], templates: Templates, clock: Clock, metrics: ToolMetrics
    ) -> None:
        self._makers = makers
        self._templates = templates
        self._clock = clock
        self._metrics = metrics
        self._bound: LRUCache[tuple[UUID, int], dict[str, BoundTool]] = LRUCache(_CACHED_TOOLS, _count)

    def check(self, definition: ToolDefinition, owner: Owner) -> None:
        """What `apply` asks before a definition is stored. Raises DefinitionError that says what is accepted."""
        self._bind(definition, owner)
        if definition.output_template is not None:
            self._templates.check(definition.output_template, "output_template")

    def open(self, owner: Owner, definitions: Mapping[str, ToolDefinition]) -> Mapping[str, BoundTool]:
        """The tenant's tools by name. One that can't be built is left out, with a line in the log."""
        key = (owner.tenant_id, owner.version)
        tools = self._bound.get(key)
        if tools is None:
            tools = {}
            for definition in definitions.values():
                try:
                    tools[definition.name] = self._bind(definition, owner)
                except DefinitionError as error:
                    log.error("tool.unusable", tenant=owner.slug, tool=definition.name, reason=error.detail)
            self._bound[key] = tools
        return tools

    def forget(self, tenant_id: UUID) -> None:
        forget(self._bound, tenant_id)

    async def run(self, bound: BoundTool, arguments: JSONObject, context: ToolContext) -> ToolResult:
        """One call with arguments that passed the input schema.

        Raises Unavailable when the database is away: then the turn is resumed later, with the same idempotency key.
        """
        begun = self._clock.monotonic()
        result = self._finished(bound, arguments, context, await _called(bound, arguments, context))
        elapsed = self._clock.monotonic() - begun
        kind = bound.definition.kind
        self._metrics.calls.labels(str(context.tenant_id), kind, result.status).inc()
        self._metrics.seconds.labels(kind).observe(elapsed)
        return msgspec.structs.replace(result, duration_ms=round(elapsed * 1000))

    def _bind(self, definition: ToolDefinition, owner: Owner) -> BoundTool:
        if not definition.timeout_s > 0:
            raise DefinitionError("timeout_s: must be above 0.")
        maker = self._makers.get(definition.kind)
        if maker is None:
            raise DefinitionError(f"kind: {definition.kind!r} is none of {', '.join(self._makers)}.")
        return BoundTool(definition, maker(definition, owner))

    def _finished(
        self, bound: BoundTool, arguments: JSONObject, context: ToolContext, result: ToolResult
    ) -> ToolResult:
        """The result when it is what the tool promised and of a size that a model can read, with its text."""
        if result.status is not ToolStatus.OK or result.passages:
            return result
        definition = bound.definition
        data, problem = _as_json(result.data)
        if problem is None and bound.output is not None:
            problem = bound.output.problem(data)
            if problem is not None:
                log.warning("tool.broke_promise", tool=definition.name)
                problem = f"The tool's result is not of the form that it promises: {problem}."
        if problem is not None:
            if definition.side_effects:
                problem += " What it was to do may have been done."
            return ToolResult(ToolStatus.ERROR, error=problem)
        text = self._text(definition, {"result": data, "arguments": arguments, "language": context.language})
        return ToolResult(ToolStatus.OK, data=data, text=text)

    def _text(self, definition: ToolDefinition, values: Mapping[str, Any]) -> str | None:
        if definition.output_template is None:
            return None
        try:
            # The text is the key: the same tool has another template in another version.
            return self._templates.render(definition.output_template, definition.output_template, values)
        except TemplateFailed:
            log.warning("tool.template_failed", tool=definition.name)
            return None


async def _called(bound: BoundTool, arguments: JSONObject, context: ToolContext) -> ToolResult:
    definition = bound.definition
    try:
        async with asyncio.timeout(definition.timeout_s):
            return await bound.tool.call(arguments, context)
    except NeedsInput as asks:
        return ToolResult(ToolStatus.NEEDS, needs=(asks.need,))
    except ToolError as error:
        return ToolResult(ToolStatus.ERROR, error=str(error))
    except TimeoutError:
        log.warning("tool.timed_out", tool=definition.name, timeout_s=definition.timeout_s)
        sentence = f"The tool did not answer within {definition.timeout_s:g} seconds."
        if definition.side_effects:
            sentence += " What it was to do may have been done."
        return ToolResult(ToolStatus.TIMEOUT, error=sentence)
    except Unavailable:
        raise
    except DefinitionError as error:
        log.error("tool.unusable", tool=definition.name, reason=error.detail)
        return ToolResult(ToolStatus.ERROR, error="The tool is not set up correctly.")
    except Exception as error:  # noqa: BLE001 - a deployment's own code or a stranger's answer: it must not end the turn
        # The exception's text is left out: it may hold what the contact wrote.
        trace = "".join(traceback.format_tb(error.__traceback__))
        log.error("tool.failed", tool=definition.name, kind=type(error).__name__, trace=trace)
        return ToolResult(ToolStatus.ERROR, error="The tool failed.")


def _as_json(value: Any) -> tuple[Any, str | None]:
    """The value as plain JSON, or the sentence that says why it can't be used."""
    try:
        plain = msgspec.to_builtins(value, str_keys=True)
        size = len(json.dumps(plain))
    except (TypeError, ValueError, RecursionError):
        return None, "The tool's result is not JSON."
    if size > MAX_RESULT_BYTES:
        return None, f"The tool's result is too large to read ({size // 1024} KB, at most {MAX_RESULT_BYTES // 1024})."
    return plain, None


def _count(tools: Mapping[str, BoundTool]) -> int:
    return len(tools) + 1
