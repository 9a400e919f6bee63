"""Which mention fills which slot, when there are several of a kind ("from Monday to Wednesday")."""

import re
from collections.abc import Sequence
from typing import TypeVar

from frontdesk.llm.slots.lexicon import NEGATED
from frontdesk.llm.slots.schema import Slot
from frontdesk.llm.slots.text import Mention, akin, words

T = TypeVar("T")

# Words that tell the side of a span wherever they stand before the mention …
_START_CUE = re.compile(
    r"\b(?:starting|starts?|beginning|pick(?:ing|ed)?(?:\s+\w+){0,2}\s+up|pick\s*up|check(?:ing)?[\s-]*in(?:to)?|leav(?:e|ing)|depart(?:ing|ure)?|"
    r"anreise|salida|ida|depart|saida|mulai)\b"
)
_END_CUE = re.compile(
    r"\b(?:return(?:ing|s)?|com(?:e|ing)\s+back|back|drop(?:ping|ped)?(?:\s+\w+){0,2}\s+off|drop\s*off|check(?:ing)?[\s-]*out|end(?:ing|s)?|"
    r"abreise|ruckreise|zuruck|vuelta|regreso|retour|volta|kembali)\b"
)
# … and prepositions, which must stand right before it.
_START_AT_ONCE = re.compile(
    r"\b(?:from|since|von|vom|ab|desde|a\s+partir\s+de|du|dari)\s+(?:the\s+|on\s+|el\s+|le\s+|dem\s+)?$"
)
_END_AT_ONCE = re.compile(
    r"(?:\b(?:to|until|till|through|thru|bis(?:\s+zum)?|hasta|al|au|jusqu'au|ate|sampai|hingga)\s+(?:the\s+|on\s+|el\s+|le\s+)?|\d\s*-\s*)$"
)
_CORRECTION = re.compile(
    r"\b(?:instead|rather|actually|make\s+it|change|move|switch|reschedule|no|nein|doch|lieber|verschieben|stattdessen|mejor|cambiar?|mover|"
    r"plutot|changer|deplacer|melhor|mudar|remarcar|saja|pindah(?:kan)?|ganti)\b"
)
_FROM_TO = re.compile(r"\b(?:from|von|vom|de|desde|du|dari)\s+(?:\w+\s+){0,2}$")


def not_negated(mentions: Sequence[Mention[T]], folded: str) -> list[Mention[T]]:
    """Without those that are named to be refused ("not Friday but Saturday"), if another is left."""
    meant = [mention for mention in mentions if not NEGATED.search(folded[: mention.start])]
    return meant or list(mentions)


def choose_one(mentions: Sequence[Mention[T]], folded: str) -> Mention[T]:
    """The one that is meant when only one can be: the first, but the last of "from A to B" and of a correction."""
    if len(mentions) > 1 and (_FROM_TO.search(folded[: mentions[0].start]) or _CORRECTION.search(folded)):
        return mentions[-1]
    return mentions[0]


def assign(mentions: Sequence[Mention[T]], slots: Sequence[Slot], folded: str, asked: str | None) -> dict[str, T]:
    """At most one mention for each slot: by words beside it that the slot has too, by its side of a span, by order."""
    if not mentions or not slots:
        return {}
    mentions = not_negated(mentions, folded)
    if len(slots) == 1:
        return {slots[0].name: choose_one(mentions, folded).value}
    rated = sorted(
        (
            (-_score(mentions, place, slot, folded, asked) + 0.1 * abs(place - rank) + 0.01 * rank, place, rank)
            for place in range(len(mentions))
            for rank, slot in enumerate(slots)
        ),
    )
    filled: dict[str, T] = {}
    used: set[int] = set()
    for cost, place, rank in rated:
        if cost < 1.0 and place not in used and slots[rank].name not in filled:
            filled[slots[rank].name] = mentions[place].value
            used.add(place)
    return filled


def side_of(before: str) -> str:
    """`start` or `end` by the nearest cue in the words before a mention, else empty."""
    if _START_AT_ONCE.search(before):
        return "start"
    if _END_AT_ONCE.search(before):
        return "end"
    starts = [match.end() for match in _START_CUE.finditer(before)]
    ends = [match.end() for match in _END_CUE.finditer(before)]
    if not starts and not ends:
        return ""
    return "start" if max(starts, default=-1) > max(ends, default=-1) else "end"


def _score(mentions: Sequence[Mention[T]], place: int, slot: Slot, folded: str, asked: str | None) -> float:
    mention = mentions[place]
    left = max(mentions[place - 1].end if place else 0, mention.start - 40)
    before = folded[left : mention.start]
    score = 0.6 if slot.name == asked else 0.0
    score += 1.0 * akin((word.text for word in words(before)[-5:]), slot.stems)
    side = side_of(before)
    if side and slot.role:
        score += 1.5 if side == slot.role else -1.5
    return score
