"""Extractive answers: the few sentences of the passages that answer a question, word for word, each cited."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from frontdesk.llm.providers.local.choose import Embed
from frontdesk.llm.providers.local.language import language_of
from frontdesk.llm.providers.local.passages import Passage, Unit, units_of
from frontdesk.llm.slots.lexicon import FILLERS
from frontdesk.llm.slots.text import fold, stem, word_set, words

MAX_PASSAGES, MAX_EMBEDDED, MAX_UNITS, MAX_ITEMS = 6, 24, 3, 12
# Chosen on the clinic's documents: sentences that answer score 0.55 and more, the best of those that don't, 0.45.
# Then, of the best one's score: to be said beside it as a sentence of the same passage, and of another.
SURE, NEAR, NEAR_ELSEWHERE = 0.48, 0.88, 0.97
_MEANING, _WORDS, _PASSAGE, _KIND = 0.6, 0.3, 0.1, 0.08
_FOREIGN = 0.1  # less for a sentence that shares no word with the question: outside English all seems alike

# What a question of this kind is answered with: (asks so, looks so).
_MONEY = re.compile(
    r"[€$£¥]|\b(?:eur|euros?|usd|dollars?|cents?|free|gratis|kostenlos|kostenfrei|gratuit\w*|rupiah|rp|reais|libre)\b"
)
_PRICE = re.compile(
    r"\b(?:costs?|prices?|fees?|you charge|how much|cuestan?|precios?|kostet|kosten|preise?|coute(?:nt)?|prix|tarifs?|"
    r"custam?|precos?|harga|biaya)\b"
)
_EXPECTED = (
    (_PRICE, _MONEY),
    (
        re.compile(r"^(?:who|whom|quien|wer|wen|qui|quem|siapa)\b"),
        re.compile(r"\b(?:dr|prof|mr|mrs|ms|herr|frau)\b"),
    ),
    (
        re.compile(
            r"^(?:when|what time|until when|how long|how many|cuando|a que hora|cuanto|wann|wie lange|wie viele|quand|"
            r"combien|quando|quanto|kapan|berapa)\b|\bhours\b"
        ),
        re.compile(r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|daily|always|any time|closed)\b"),
    ),
)

_ABBREVIATION = re.compile(r"(?<!\w)[A-Z]{2,5}(?!\w)")
# Capitals, or a capital where no sentence begins.
_NAME = re.compile(r"(?<!\w)[A-Z]{2,5}(?!\w)|(?<=[a-zà-ÿ,] )[A-ZÀ-Þ][a-zà-ÿ]{2,}(?!\w)")

_ASKING = FILLERS | word_set(
    "what when where who which how why do does did can could are is your you our any anything "
    "something there have has should must may "
    "que cual cuando donde quien como cuanto hay puedo tienen son estan "
    "was wann wo wer wie welche welcher gibt kann konnen haben sind ihr ihre "
    "quand quel quelle quels quelles comment combien est-ce puis-je peut-on pouvez-vous peut avez vous votre me "
    "qual quando onde quem quanto posso tem sao "
    "apa apakah kapan bagaimana berapa bisa ada anda"
)


class Extract(NamedTuple):
    """Markdown with `[n]` behind each quoted sentence or item, best passage first; how well it answers."""

    text: str
    score: float


async def extract_answer(question: str, passages: Sequence[Passage], embed: Embed, language: str) -> Extract | None:
    """What answers the question, in the contact's language if any passage is; None when nothing answers."""
    own = [passage for passage in passages if language_of(passage.text) in (language, None)]
    for readable in (own, passages):
        ranked = await ranked_units(question, readable[:MAX_PASSAGES], embed)
        if ranked and ranked[0][0] >= SURE:
            units = [unit for passage in readable[:MAX_PASSAGES] for unit in units_of(passage)]
            return Extract(_rendered(_completed(_chosen(ranked), units)), ranked[0][0])
        if len(own) == len(passages):
            break
    return None


async def ranked_units(question: str, passages: Sequence[Passage], embed: Embed) -> list[tuple[float, Unit]]:
    """(score, unit), best first: of passages that speak of all that the question names; amounts, if it asks a price."""
    named, is_price = names_in(question, passages), bool(_PRICE.search(fold(question)))
    units = [unit for passage in passages for unit in units_of(passage)]
    if not units:
        return []
    overlap = _overlaps(question, units)
    able = [
        at
        for at, unit in enumerate(units)
        if named <= _spoken_of(unit.passage) and (not is_price or _MONEY.search(fold(unit.text)))
    ]
    first = sorted(able, key=lambda at: -(overlap[at] + units[at].passage.score))[:MAX_EMBEDDED]
    if not first:
        return []
    vectors = await embed([question, *(_in_context(units[at]) for at in first)])
    meaning = vectors[1:] @ vectors[0]
    scores = {
        at: _MEANING * float(np.clip(close, 0.0, 1.0))
        + _WORDS * overlap[at]
        + _PASSAGE * units[at].passage.score
        + _KIND * _is_of_kind(question, units[at])
        - (_FOREIGN if overlap[at] == 0.0 else 0.0)
        for at, close in zip(first, meaning, strict=True)
    }
    return [(scores[at], units[at]) for at in sorted(scores, key=lambda at: -scores[at])]


def _chosen(ranked: Sequence[tuple[float, Unit]]) -> list[Unit]:
    """The best, and those after it that are nearly as good."""
    best, first = ranked[0]
    return [
        unit
        for score, unit in ranked[:MAX_UNITS]
        if score >= best * (NEAR if unit.passage.ref == first.passage.ref else NEAR_ELSEWHERE)
    ]


def names_in(question: str, passages: Sequence[Passage]) -> set[str]:
    """What the question names, folded: abbreviations ("MRI"), and what the passages write as names ("Aurelia").

    A sentence that says nothing about what is named may be true, but is no answer.
    """
    asked = {word.text for word in words(fold(question))} - _ASKING
    known = {fold(name) for passage in passages for name in _NAME.findall(passage.text)}
    said = {fold(name) for name in _ABBREVIATION.findall(question)} if question != question.upper() else set()
    return said | (asked & known)


def _spoken_of(passage: Passage) -> set[str]:
    """The passage's words, with those of its own heading: what stands above that is about its neighbours too."""
    return {word.text for word in words(fold(f"{passage.heading.rpartition('›')[2]} {passage.text}"))}


def _in_context(unit: Unit) -> str:
    return f"{unit.passage.heading or unit.passage.title}: {unit.text}"


def _is_of_kind(question: str, unit: Unit) -> int:
    """1 when the unit has what such a question asks for (a price, a name, a figure), -1 when it lacks it."""
    asked, said = fold(question).strip(" ¿"), fold(unit.text)
    return sum(1 if looks.search(said) else -1 for asks, looks in _EXPECTED if asks.search(asked))


def _overlaps(question: str, units: Sequence[Unit]) -> list[float]:
    """How much of the question's own words each unit has, rare words counting more; its heading's words count half."""
    asked = set(content_stems(_PRICE.sub(" ", fold(question))))  # an amount says that it is a price
    if not asked:
        return [0.0] * len(units)
    own = [set(content_stems(unit.text)) for unit in units]
    around = [set(content_stems(f"{unit.passage.title} {unit.passage.heading}")) for unit in units]
    seen = Counter(word for has, near in zip(own, around, strict=True) for word in has | near)
    weight = {word: math.log(1 + len(units) / (1 + seen[word])) + 0.1 for word in asked}
    total = sum(weight.values())
    return [
        sum(weight[word] * (1.0 if word in has else 0.5 if word in near else 0.0) for word in asked) / total
        for has, near in zip(own, around, strict=True)
    ]


def content_stems(text: str) -> Iterable[str]:
    """Stems of the words that carry what a question is about."""
    return (stem(word.text) for word in words(fold(text)) if word.text not in _ASKING and len(word.text) > 1)


def _completed(chosen: Sequence[Unit], units: Sequence[Unit]) -> list[Unit]:
    """With the line that introduces a chosen item, and with the list that a chosen line introduces."""
    kept = {(unit.passage.ref, unit.place): unit for unit in chosen}
    for unit in chosen:
        around = [other for other in units if other.passage.ref == unit.passage.ref]
        if unit.lead is not None:
            kept[unit.passage.ref, unit.lead] = around[unit.lead]
        if unit.text.endswith(":"):
            listed = [other for other in around if other.lead == unit.place]
            kept |= {(item.passage.ref, item.place): item for item in listed[:MAX_ITEMS]}
    order = {unit.passage.ref: rank for rank, unit in reversed(list(enumerate(chosen)))}  # the best passage first
    return sorted(kept.values(), key=lambda unit: (order[unit.passage.ref], unit.place))


def _rendered(units: Sequence[Unit]) -> str:
    lines: list[str] = []
    before: Unit | None = None
    for unit in units:
        cited = f"{unit.text} [{unit.passage.ref}]"
        follows = before is not None and before.passage.ref == unit.passage.ref and before.is_item == unit.is_item
        if unit.is_item:
            if unit.lead is None and not follows and (title := unit.passage.heading or unit.passage.title):
                lines.append(f"**{title}**")
            lines.append(f"- {cited}")
        elif follows and lines:
            lines[-1] += f" {cited}"
        else:
            lines += ["", cited] if lines else [cited]
        before = unit
    return "\n".join(lines)
