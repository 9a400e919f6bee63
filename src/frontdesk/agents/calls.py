"""From what a model wants called to what may be called: known tool, readable and complete arguments, or a result that
says what is wrong."""

import hashlib
from collections.abc import Mapping
from uuid import UUID

import msgspec

from frontdesk.agents import texts
from frontdesk.agents.results import failed
from frontdesk.core import json
from frontdesk.llm.types import JSONObject, PendingCall, ToolCall
from frontdesk.tools.schema import Checked
from frontdesk.tools.toolbox import BoundTool
from frontdesk.tools.types import Need, ToolResult, ToolStatus

# Rules that a value can break only because the contact wrote it so: the model can't know better.
_THE_CONTACTS_OWN = frozenset(
    {"format:email", "format:phone", "format:uuid", "pattern", "minLength", "maxLength", "minimum", "maximum"}
)
_OPTIONS_SHOWN = 12


class Ready(msgspec.Struct, frozen=True):
    """A call that may be made."""

    call: ToolCall
    bound: BoundTool
    arguments: JSONObject


class Refused(msgspec.Struct, frozen=True):
    """A call that is not made: `result` says why, or what the contact is to be asked. `arguments`: what is known."""

    call: ToolCall
    bound: BoundTool | None
    result: ToolResult
    arguments: JSONObject = {}


def prepare(
    call: ToolCall, tools: Mapping[str, BoundTool], pending: PendingCall | None, message: str, language: str
) -> Ready | Refused:
    """`pending`: what is known from earlier turns, for the tool that it belongs to. `message`: the contact's words."""
    bound = tools.get(call.name)
    if bound is None:
        known = ", ".join(tools) or "none"
        return Refused(call, None, failed(f"There is no tool {call.name[:80]!r}. There are: {known}."))
    if call.arguments is None:
        return Refused(call, bound, failed("The arguments were not a JSON object."))
    given = call.arguments
    if pending is not None and pending.tool == call.name:
        given = {**pending.arguments, **given}
    checked = bound.arguments.check(given)
    if checked.missing:
        return _asks(call, bound, checked, checked.missing[0], language, is_again=False)
    doubtful = _doubtful(checked, message)
    if doubtful is not None:
        return _asks(call, bound, checked, doubtful, language, is_again=True)
    if checked.problems:
        return Refused(call, bound, failed("; ".join(problem.sentence for problem in checked.problems) + "."))
    return Ready(call, bound, checked.value)


def with_options(question: str, options: tuple[str, ...]) -> str:
    """The question as text alone must carry it: with its options, unless it names them itself."""
    if not 0 < len(options) <= _OPTIONS_SHOWN or any(option.casefold() in question.casefold() for option in options):
        return question
    return f"{question} ({', '.join(options)})"


def waiting(agent: str, refused_or_ready: Ready | Refused, need: Need) -> PendingCall:
    """The call as it waits for the contact: without the value that is asked for, as the one given would not do."""
    return PendingCall(
        agent=agent,
        tool=refused_or_ready.call.name,
        arguments={name: value for name, value in refused_or_ready.arguments.items() if name != need.parameter},
        asked=need.parameter,
        question=need.question,
        options=need.options,
    )


def signature(name: str, arguments: object) -> str:
    """The same for calls that are the same, however their arguments are ordered."""
    try:
        canonical = msgspec.json.encode(arguments, order="deterministic")
    except (ValueError, OverflowError, RecursionError):  # lone surrogates and the like: no tool gets to see them
        canonical = ascii(arguments).encode()
    return hashlib.sha256(name.encode() + b"\0" + canonical).hexdigest()


def idempotency_key(turn_id: UUID, agent: str, tool: str, arguments: JSONObject, occurrence: int) -> str:
    """Names a call with side effects: the same for each attempt at the turn, another for each call in it."""
    place = json.dumps([str(turn_id), agent, signature(tool, arguments), occurrence])
    return hashlib.sha256(place).hexdigest()[:32]


def _doubtful(checked: Checked, message: str) -> str | None:
    """A parameter whose value is wrong and stands so in the contact's message: only they can put it right."""
    said = message.casefold()
    for problem in checked.problems:
        value = checked.value.get(problem.parameter)
        if problem.rule in _THE_CONTACTS_OWN and isinstance(value, str | int | float) and str(value).casefold() in said:
            return problem.parameter
    return None


def _asks(
    call: ToolCall, bound: BoundTool, checked: Checked, parameter: str, language: str, *, is_again: bool
) -> Refused:
    schema = bound.arguments
    question = schema.question(parameter, language) or texts.ask(schema.label(parameter), language)
    if is_again:
        question = f"{texts.again(language)} {question}"
    need = Need(parameter, question, schema.options(parameter, language))
    return Refused(call, bound, ToolResult(ToolStatus.NEEDS, needs=(need,)), checked.value)
