"""Several agents' answers as one: in order, each passage cited once, one question at most."""

import re
from collections.abc import Sequence

import msgspec

from frontdesk.agents.calls import with_options
from frontdesk.agents.models import AgentOutcome
from frontdesk.conversations.live import Happening, TurnLive
from frontdesk.knowledge.models import Citation
from frontdesk.llm.types import Restart, TextDelta

_MARKER = re.compile(r"\[(\d{1,3})\]")


class Merged(msgspec.Struct, frozen=True):
    text: str
    citations: tuple[Citation, ...]


def in_order(outcomes: Sequence[AgentOutcome]) -> list[AgentOutcome]:
    """Answers first, as the contact asked for them; then what asks, and only the last of these asks now.

    That is the one named first: the others' questions come when it is settled.
    """
    asking = [outcome for outcome in outcomes if outcome.needs]
    answering = [outcome for outcome in outcomes if not outcome.needs]
    later = [msgspec.structs.replace(outcome, text=_without_question(outcome)) for outcome in asking[:0:-1]]
    return [*answering, *later, *asking[:1]]


def _without_question(outcome: AgentOutcome) -> str:
    need = outcome.needs[0]
    return outcome.text.removesuffix(with_options(need.question, need.options)).rstrip()


def merge(texts: Sequence[tuple[str, Sequence[Citation]]]) -> Merged:
    """Texts one under the other; the marker `[n]` of each is renumbered into the one list of citations."""
    parts: list[str] = []
    citations: list[Citation] = []
    for text, own in texts:
        numbers: dict[int, int] = {}
        for place, citation in enumerate(own, start=1):
            if citation not in citations:
                citations.append(citation)
            numbers[place] = citations.index(citation) + 1
        parts.append(_renumbered(text, numbers))
    return Merged("\n\n".join(part for part in parts if part), tuple(citations))


def _renumbered(text: str, numbers: dict[int, int]) -> str:
    return _MARKER.sub(lambda found: f"[{numbers.get(int(found[1]), int(found[1]))}]", text)


class Voices:
    """Lets agents that run at the same time be heard one after the other.

    The first speaks as it writes; the others' words are kept until those before them are done, and then said whole.
    """

    def __init__(self, live: TurnLive) -> None:
        self._live = live
        self._said = False

    def speaks(self, place: int, happening: Happening) -> None:
        """What agent number `place` (from 0) does."""
        match happening:
            case TextDelta() | Restart() if place > 0:
                return  # comes whole, by `say_rest`
            case TextDelta():
                self._said = True
                self._live.say(happening)
            case Restart():
                if self._said:
                    self._said = False
                    self._live.say(happening)
            case _:
                self._live.say(happening)

    def say_rest(self, text: str) -> None:
        """The merged answer beyond what was heard already; anew when what was heard is not its beginning."""
        heard = "".join(
            happening.text for happening in _since_restart(self._live.happenings) if isinstance(happening, TextDelta)
        )
        if text.startswith(heard):
            if rest := text[len(heard) :]:
                self._live.say(TextDelta(rest))
        else:
            self._live.say(Restart())
            self._live.say(TextDelta(text))


def _since_restart(happenings: Sequence[Happening]) -> Sequence[Happening]:
    for place in range(len(happenings) - 1, -1, -1):
        if isinstance(happenings[place], Restart):
            return happenings[place + 1 :]
    return happenings
