"""What of a conversation counts for the call that its last message asks for: enough not to ask twice, no more."""

from collections.abc import Sequence

from frontdesk.llm.providers.local.choose import CALLS, CALLS_FOR_QUESTION, ToolChooser
from frontdesk.llm.slots import Earlier, is_cancel, is_question, points_there, refers_back, says_done
from frontdesk.llm.slots.schema import Kind
from frontdesk.llm.types import Message, Role, ToolSpec

LOOKED_AT = 20  # messages

_PLACES = frozenset({Kind.PLACE})
# What a sentence that asks nothing says of days, times and numbers is seldom what is wanted: "on Sundays until 21:00".
_NAMED = frozenset(Kind) - {Kind.DATE, Kind.DATE_RANGE, Kind.TIME, Kind.PART_OF_DAY, Kind.NUMBER}
_ALL = frozenset(Kind)


def spoken(messages: Sequence[Message]) -> list[Message]:
    """What the two said to each other, newest first."""
    return [each for each in reversed(messages) if each.role in (Role.USER, Role.ASSISTANT) and each.text]


async def what_counts(text: str, messages: Sequence[Message], tool: ToolSpec, chooser: ToolChooser) -> list[Earlier]:
    """Newest first. The contact's own words count where they answered a question or called for this tool too;
    everything else where the text takes it up ("book it"). What was done or given up is over, but for its place when
    the text points there: a value must not slip from one booking into the next."""
    takes_up = refers_back(text)
    counts: list[Earlier] = []
    is_over = False
    said = spoken(messages)
    for at, message in enumerate(said[:LOOKED_AT]):
        is_ours = message.role is Role.ASSISTANT
        asks = "?" in message.text
        is_over = is_over or (says_done(message.text) and not asks if is_ours else is_cancel(message.text))
        if is_over:
            if points_there(text):
                counts.append(Earlier(message.text, _PLACES))
        elif is_ours:
            if takes_up:
                counts.append(Earlier(message.text, _ALL if asks else _NAMED))
        elif takes_up or _is_answer(said, at) or await _calls_for(tool, message.text, chooser):
            counts.append(Earlier(message.text, _ALL))
    return counts


async def _calls_for(tool: ToolSpec, text: str, chooser: ToolChooser) -> bool:
    (fit,) = await chooser.rank(text, [tool])
    return fit.score >= (CALLS_FOR_QUESTION if is_question(text) else CALLS)


def _is_answer(said: Sequence[Message], at: int) -> bool:
    before = said[at + 1] if at + 1 < len(said) else None
    return (
        before is not None
        and before.role is Role.ASSISTANT
        and "?" in before.text
        and not is_question(said[at].text)
    )  # fmt: skip
