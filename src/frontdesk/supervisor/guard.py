"""The guard: emergencies and explicit wishes for a human, found locally and first, in about a millisecond.

How danger is weighed. Each phrase of danger that stands in the text adds to it, unless it is negated or part of a
figure of speech; a sign that it happens now adds; talk of the past, of what might be, of information, of appointments,
of games and drills takes away. Each sentence is weighed by itself and the message as a whole, and the heaviest counts:
"What are signs of a stroke? My father's face is drooping" fires by its second half.

Phrases miss what nobody foresaw, so a second judge reads the whole message: a small model that learnt how emergencies
read (`likeness`). What both say together decides, so that each can outvote a weak word of the other. It learnt from
stories as well as from cries, so a phrase of danger weighs the more, the fewer words stand beside it: "I want to die".
"""

import re
from collections.abc import Iterable, Sequence
from math import exp
from time import perf_counter

import msgspec

from frontdesk.agents.models import TenantSettings
from frontdesk.supervisor.lexicon import Hit, Lexicon, Phrase
from frontdesk.supervisor.likeness import Likeness
from frontdesk.supervisor.models import Alarm, Stage, Trial
from frontdesk.supervisor.words import COMMA, STOP, asks, sentences, tokens

# What the likeness and the phrases must say together. All in log odds.
FIRES = 1.5
_OF_PHRASES = 1.25  # of one phrase of danger
_HEAVIEST = 1.5  # more weight of phrases counts no more
_OF_BREVITY = 3.0  # of a phrase of danger without any other word, shrinking to nothing at _BRIEF words
_BRIEF = 13
_TELLING = (
    5  # words without which likeness alone is no ground: "12:00", "the second floor", "3-5 people" answer a question
)
_NEAR = 0.25  # share of the probability needed from which a message without a phrase of danger is worth a word
_SURELY_NOT = 50.0  # log odds below which there is nothing to tell, and at some hundreds no number
_NAMED = 3  # words that a reason without phrases names

# Of an emergency that no phrase names.
UNNAMED = "unnamed"

_YEAR = re.compile("(?:19|20)[0-9]{2}")

_SECOND_STRONG, _SECOND_WEAK = 0.5, 0.25
_NOW = 0.5
_TAKEN_BACK = 0.5  # "no chest pain": all danger in it negated or a figure of speech
_TAKEN_AWAY = {"past": 0.8, "if": 0.5, "question": 0.5, "booking": 0.5, "unreal": 1.0, "mild": 0.4}
_REACH_OF_NEGATION = 3  # words between a negation and what it negates
_SPOKEN = 0.67  # share of the best language's known words that another language must know to be read too
_LONGEST = 400  # words of a message that are weighed: more is no call for help


class Weight(msgspec.Struct, frozen=True):
    """How heavy a text is, of which kind, and what made it so."""

    danger: float = 0.0
    kind: str = ""
    reason: str = ""


class Guard:
    """Says whether a message is an emergency or an explicit wish for a human. Needs no provider and no database."""

    def __init__(self, lexicons: Sequence[Lexicon], likeness: Likeness) -> None:
        self._lexicons = tuple(lexicons)
        self._likeness = likeness

    def check(self, text: str, settings: TenantSettings) -> Alarm | None:
        """The emergency in `text`, else the wish for a human in it, else None. Reads every language it knows."""
        return self.judge(text, settings)[0]

    def judge(self, text: str, settings: TenantSettings) -> tuple[Alarm | None, Trial | None]:
        """What `check` finds; and where something spoke for an emergency and was not enough, what it was."""
        begun = perf_counter()
        words = tokens(text)[:_LONGEST]
        if not words:
            return None, None
        lexicons = self._spoken(words)
        readings = [(lexicon, lexicon.corrected(words)) for lexicon in lexicons]
        weights = [weigh(lexicon, said) for lexicon, said in readings]
        best = heaviest(weights)
        spoken, corrected = readings[weights.index(best)]
        likeness = self._read(text, words, corrected)
        count = sum(word[0].isalpha() for word in words)
        together = likeness + _OF_PHRASES * min(best.danger, _HEAVIEST)
        if best.danger >= 1:
            together += _OF_BREVITY * max(0.0, 1 - count / _BRIEF)
        if together >= FIRES and (best.danger > 0 or count >= _TELLING):
            reason = f"{best.reason or self._named(words, spoken)} (likeness {likeness:+.1f})"
            return Alarm(Stage.EMERGENCY, best.kind or UNNAMED, spoken.language, reason), None
        if alarm := _tenants_words(words, readings, settings) or _human(readings):
            return alarm, None
        reached, least = _probability(together), _probability(FIRES)
        if reached >= least or (not best.reason and reached < least * _NEAR):
            return None, None  # too few words to be judged, or nothing spoke for it
        reason = f"{best.reason or self._named(words, spoken)} (likeness {likeness:+.1f})"
        took_ms = round((perf_counter() - begun) * 1000, 2)
        return None, Trial(Stage.EMERGENCY, {best.kind or UNNAMED: reached}, reason, took_ms, least)

    def _spoken(self, words: list[str]) -> list[Lexicon]:
        """The languages that the message may be in: those that know nearly as many of its words as the best, first."""
        known = [lexicon.knows(words) for lexicon in self._lexicons]
        least = max(known) * _SPOKEN
        ranked = sorted(zip(known, self._lexicons, strict=True), key=lambda pair: -pair[0])
        return [lexicon for count, lexicon in ranked if count >= least]

    def _read(self, text: str, words: list[str], corrected: list[str]) -> float:
        """The likeness as written, or with its mistakes put right."""
        is_question = asks(text)
        likeness = self._likeness.of(words, is_question=is_question)
        return likeness if corrected == words else max(likeness, self._likeness.of(corrected, is_question=is_question))

    def _named(self, words: list[str], lexicon: Lexicon) -> str:
        """The words that make it read like an emergency, of those that the lexicon knows: no names, no numbers."""
        known = [word for word in words if lexicon.knows([word])]
        return f"reads like an emergency: {', '.join(self._likeness.heaviest(known, _NAMED))}"


def _probability(log_odds: float) -> float:
    return round(1 / (1 + exp(-max(log_odds, -_SURELY_NOT))), 3)


def heaviest(weights: Iterable[Weight]) -> Weight:
    """The most dangerous; where nothing is dangerous, what speaks most against it."""
    found = sorted(weights, key=lambda weight: weight.danger)
    if not found:
        return Weight()
    return found[-1] if found[-1].danger > 0 else found[0]


def weigh(lexicon: Lexicon, words: list[str]) -> Weight:
    """The heaviest of the sentences of `words` and of the whole."""
    parts = sentences(words)
    if len(parts) > 1:
        parts.append([COMMA if word == STOP else word for word in words])
    return heaviest(_weigh(lexicon, part) for part in parts)


def _weigh(lexicon: Lexicon, words: list[str]) -> Weight:
    hits = lexicon.dangers(words)
    if not hits:
        return Weight()
    figures = [span for hit in lexicon.found("idiom", words) for span in hit.spans]
    negations = _negations(lexicon, words)
    hits = [
        hit
        for hit in hits
        if not any(_overlap(span, figure) for span in hit.spans for figure in figures)
        and not any(_negated(lexicon, words, span, negations) for span in hit.spans)
        and not _negated_within(words, hit, negations)
    ]
    if not hits:
        return Weight(-_TAKEN_BACK)
    hits.sort(key=lambda hit: -hit.phrase.weight)
    danger, reasons = _danger(hits), [f"{hits[0].phrase.kind}: {_quote(words, hits[0])}"]
    if now := lexicon.found("now", words):
        danger += _NOW
        reasons.append("now")
    for scope, weight in _TAKEN_AWAY.items():
        found = lexicon.found(scope, words) or (scope == "past" and _years(words))
        if found and not (scope == "past" and now and _elsewhere(lexicon, words, hits[0], found)):
            danger -= weight
            reasons.append(f"but {scope}")
    return Weight(danger, hits[0].phrase.kind, ", ".join(reasons))


def _danger(hits: list[Hit]) -> float:
    """The heaviest hit, and a part of a second one that stands elsewhere in the text."""
    first = hits[0]
    second = [hit for hit in hits[1:] if not any(_overlap(a, b) for a in hit.spans for b in first.spans)]
    if not second:
        return first.phrase.weight
    return first.phrase.weight + (_SECOND_STRONG if second[0].phrase.weight >= 1.0 else _SECOND_WEAK)


def _negations(lexicon: Lexicon, words: list[str]) -> list[tuple[int, int]]:
    real = [span for hit in lexicon.found_all("negation", words) for span in hit.spans]
    seeming = [span for hit in lexicon.found_all("not_negation", words) for span in hit.spans]
    return [span for span in real if not any(_overlap(span, other) for other in seeming)]


def _negated(lexicon: Lexicon, words: list[str], span: tuple[int, int], negations: list[tuple[int, int]]) -> bool:
    """Whether a negation stands shortly before `span` (in some languages also after it), in the same clause."""
    for start, end in negations:
        if end <= span[0] and span[0] - end < _REACH_OF_NEGATION:
            between = words[end : span[0]]
        elif start >= span[1] and start - span[1] < lexicon.negation_after:
            between = words[span[1] : start]
        else:
            continue
        if not any(word in lexicon.breaks for word in between):
            return True
    return False


def _negated_within(words: list[str], hit: Hit, negations: list[tuple[int, int]]) -> bool:
    """Whether a negation stands in a gap of the phrase ("have no chest pain"), and is none of its own words.

    Its own are those without which it would not be the phrase: "is not breathing".
    """
    inside = [
        at for start, end in negations for at in range(start, end) if any(span[0] < at < span[1] for span in hit.spans)
    ]
    return bool(inside) and hit.phrase.stands_in([word for at, word in enumerate(words) if at not in inside])


def _elsewhere(lexicon: Lexicon, words: list[str], hit: Hit, others: list[Hit]) -> bool:
    """Whether `hit` stands in a clause in which none of `others` does."""
    clause, clauses = 0, []
    for word in words:
        clause += word in lexicon.breaks or word in lexicon.joins
        clauses.append(clause)
    own = {clauses[at] for span in hit.spans for at in range(*span)}
    return own.isdisjoint(clauses[at] for other in others for span in other.spans for at in range(*span))


def _tenants_words(
    words: list[str], readings: Iterable[tuple[Lexicon, list[str]]], settings: TenantSettings
) -> Alarm | None:
    """One of the tenant's own phrases, unless it is negated."""
    for language, phrases in settings.emergency.words.items():
        for phrase in phrases:
            wanted = tokens(phrase)
            for lexicon, said in ((lexicon, said) for lexicon, corrected in readings for said in (words, corrected)):
                at = _position(wanted, said)
                if at is not None and not _negated(lexicon, said, (at, at + len(wanted)), _negations(lexicon, said)):
                    return Alarm(Stage.EMERGENCY, "tenant", language, f"the tenant's own phrase: {phrase}")
    return None


def _human(readings: Iterable[tuple[Lexicon, list[str]]]) -> Alarm | None:
    """`readings`: each language with the words as it reads them."""
    for lexicon, said in readings:
        hits = lexicon.wishes_human(said)
        figures = [span for hit in lexicon.found("idiom", said) for span in hit.spans] if hits else []
        for hit in hits:
            if not any(_overlap(span, figure) for span in hit.spans for figure in figures):
                return Alarm(Stage.HUMAN, "human", lexicon.language, f"asks for a human: {_quote(said, hit)}")
    return None


def _years(words: list[str]) -> list[Hit]:
    """Years of the past, as hits: "in 2015"."""
    nothing = Phrase("year", "past", 0.0, (), frozenset(), frozenset())
    return [Hit(nothing, ((at, at + 1),)) for at, word in enumerate(words) if _YEAR.fullmatch(word)]


def _position(wanted: list[str], words: list[str]) -> int | None:
    starts = range(len(words) - len(wanted) + 1)
    return next((at for at in starts if words[at : at + len(wanted)] == wanted), None) if wanted else None


def _quote(words: list[str], hit: Hit) -> str:
    """The words that matched. They are the lexicon's, but for those between them, which are left out."""
    return " … ".join(" ".join(words[start:end]) for start, end in hit.spans) or " ".join(words)


def _overlap(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return a[0] < b[1] and b[0] < a[1]
