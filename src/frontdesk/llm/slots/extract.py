"""Fills a schema's parameters from what a message says, and judges whether it answers a question.

Nothing is guessed: a parameter without a mention stays empty, and every value fits its parameter's schema.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any  # the values of a JSON Schema are untyped

from frontdesk.core.expressions import compiled
from frontdesk.llm.slots.assign import assign, choose_one, not_negated, side_of
from frontdesk.llm.slots.check import as_time, fits
from frontdesk.llm.slots.choices import find_choices, pick
from frontdesk.llm.slots.contacts import find_emails, find_phones, find_urls
from frontdesk.llm.slots.dates import find_dates, is_past_field
from frontdesk.llm.slots.lexicon import is_cancel, is_question, yes_or_no
from frontdesk.llm.slots.names import bare_name, find_names
from frontdesk.llm.slots.numbers import find_numbers
from frontdesk.llm.slots.places import SITE, bare_phrase, find_places, find_quoted, find_streets
from frontdesk.llm.slots.schema import Kind, Slot, slots_of
from frontdesk.llm.slots.text import Mention, akin, fold, overlaps, stem, word_set, words
from frontdesk.llm.slots.times import find_parts_of_day, find_times, part_of

JSONObject = dict[str, Any]

TEXT_LIMIT = 2_000  # of a message that is read; a contact's message is never longer
_ONLY_SAID = frozenset({Kind.PERSON, Kind.TEXT, Kind.BOOLEAN})  # never taken from what was said before
_PEOPLE = frozenset(
    map(stem, word_set("people person adult guest passenger traveler traveller seat ticket group party size"))
)
_GROUP = re.compile(
    r"(?:\b(?:group|party|table|ride|cab|car|room|house|tickets?|seats?|taxi|mesa|tisch|table|para|fur|pour|untuk|for)\s+(?:of\s+|for\s+|para\s+|fur\s+|pour\s+)?(?:just\s+|only\s+)?)$"
)
_OF_US = re.compile(
    r"^\s*(?:of\s+us\b|people\b|persons?\b|guests?\b|adults?\b|personas\b|personen\b|personnes\b|pessoas\b|orang\b)"
)
_ALONE = re.compile(
    r"\b(?:just|only)\s+(?:me|myself|for\s+me)\b|\bby\s+myself\b|\balone\b|\bsolo\s+yo\b|\bnur\s+(?:ich|fur\s+mich)\b"
)
_SEGMENTS = re.compile(r"\s*[,;\n]\s*(?=\+?[\d(])")
_NAMED_KINDS = (Kind.PLACE, Kind.TITLE)


@dataclass(frozen=True, slots=True)
class Earlier:
    """A message before the one that is read, and the kinds of parameters that may take a value from it."""

    text: str
    kinds: frozenset[Kind] = frozenset(Kind)


class _Reading:
    """One message as the finders see it: what they found, and the characters that are taken."""

    def __init__(self, text: str, now: datetime, language: str, region: str | None, asked: str | None) -> None:
        # Lone surrogates too: patterns are searched as UTF-8. One character for one, so that offsets hold.
        self.text = text[:TEXT_LIMIT].replace("\x00", " ").encode("utf-8", "replace").decode()
        self.folded = fold(self.text)
        self.now, self.language, self.region, self.asked = now, language, region, asked
        self.taken: list[Mention[object]] = []
        self.values: JSONObject = {}
        self.streets: list[Mention[str]] = []

    def take(self, mentions: Sequence[Mention[Any]]) -> None:
        self.taken += mentions

    def free(self, mentions: Sequence[Mention[Any]]) -> list[Mention[Any]]:
        return [mention for mention in mentions if not overlaps(mention, self.taken)]

    def set(self, name: str, value: object) -> None:
        if value is not None:
            self.values.setdefault(name, value)

    def put(self, slots: Sequence[Slot], mentions: Sequence[Mention[Any]]) -> None:
        """Each slot the mention that it should have; and no other finder reads their characters."""
        found = self.free(mentions)
        for name, value in assign(found, slots, self.folded, self.asked).items():
            self.set(name, value)
        self.take(found)


def extract(
    schema: Mapping[str, Any],
    text: str,
    *,
    now: datetime,
    language: str,
    asked: str | None = None,
    options: Sequence[str] = (),
    context: Sequence[Earlier] = (),
    region: str | None = None,
) -> JSONObject:
    """Values for parameters of `schema` that `text` names; those it does not name are absent.

    `now` is aware, in the tenant's time zone. `asked` is the parameter that the contact was asked for, with the
    `options` offered: it alone may take a bare answer. `context` is what of earlier messages counts, newest first: a
    value that one of them names, and no other of its kind, counts as said now.
    Dates come as `2026-11-27`, times as `14:00`. Takes up to some milliseconds: call it off the event loop.
    """
    slots = slots_of(schema)
    values = _read(slots, text, now, language, region, asked, tuple(options))
    for earlier in context:
        kinds = earlier.kinds - _ONLY_SAID
        absent = [slot for slot in slots if slot.name not in values and slot.kind in kinds]
        values |= _named_once(absent, earlier.text, now, language, region)
    return values


def answers(
    parameter: Mapping[str, Any],
    text: str,
    *,
    now: datetime,
    language: str,
    options: Sequence[str] = (),
    name: str = "value",
    region: str | None = None,
) -> bool:
    """Whether the message gives a value for the parameter (its property schema) that was asked for."""
    if is_cancel(text):
        return False
    schema = {"type": "object", "properties": {name: dict(parameter)}}
    values = extract(schema, text, now=now, language=language, asked=name, options=options, region=region)
    return name in values


def _read(
    slots: Sequence[Slot],
    text: str,
    now: datetime,
    language: str,
    region: str | None,
    asked: str | None,
    options: tuple[str, ...],
) -> JSONObject:
    reading = _Reading(text, now, language, region, asked)
    by_kind = {kind: [slot for slot in slots if slot.kind is kind] for kind in Kind}
    asked_slot = next((slot for slot in slots if slot.name == asked), None)
    if asked_slot is not None and options:
        _picked(reading, asked_slot, options)
    _contacts(reading, by_kind)
    if by_kind[Kind.PLACE] or by_kind[Kind.TITLE]:
        reading.streets = reading.free(find_streets(reading.text))
        reading.take(reading.streets)  # before the dates: "20th Street" is none
    _moments(reading, by_kind)
    _choices(reading, by_kind[Kind.CHOICE])
    _patterns(reading, by_kind[Kind.PATTERN])
    _numbers(reading, by_kind[Kind.NUMBER])
    _persons(reading, by_kind[Kind.PERSON])
    _proper_names(reading, by_kind)
    if asked_slot is not None and asked_slot.name not in reading.values:
        _bare_answer(reading, asked_slot)
    schemas = {slot.name: slot for slot in slots}
    return {
        name: kept for name, value in reading.values.items() if (kept := _fitting(schemas[name], value)) is not None
    }


def _named_once(slots: Sequence[Slot], context: str, now: datetime, language: str, region: str | None) -> JSONObject:
    """What the context says of these slots, where it names one value only."""
    reading = _Reading(context, now, language, region, None)
    dates = {hit.value for hit in find_dates(reading.text, now.date(), language)}
    times = {hit.value for hit in find_times(reading.text, language)}
    unclear = {Kind.DATE: len(dates) > 1, Kind.TIME: len(times) > 1}
    singles = [slot for slot in slots if not unclear.get(slot.kind)]
    found = _read(singles, context, now, language, region, None, ())
    many = {
        slot.name
        for slot in singles
        if slot.kind is Kind.CHOICE and len({hit.value for hit in _said(slot, reading.text)}) > 1
    }
    return {name: value for name, value in found.items() if name not in many}


def _picked(reading: _Reading, slot: Slot, options: tuple[str, ...]) -> None:
    option = pick(reading.text, options)
    if option is None:
        return
    inner = _read([slot], option, reading.now, reading.language, reading.region, slot.name, ())
    reading.set(slot.name, inner.get(slot.name, option))


def _contacts(reading: _Reading, by_kind: Mapping[Kind, list[Slot]]) -> None:
    emails, urls = find_emails(reading.text), find_urls(reading.text)
    reading.put(by_kind[Kind.EMAIL], emails)
    reading.put(by_kind[Kind.URL], urls)
    if phones := by_kind[Kind.PHONE]:
        wanted = any(slot.name == reading.asked for slot in phones)
        reading.put(phones, find_phones(reading.text, reading.language, reading.region, asked=wanted))


def _moments(reading: _Reading, by_kind: Mapping[Kind, list[Slot]]) -> None:
    text, language, today = reading.text, reading.language, reading.now.date()
    past = [slot for slot in by_kind[Kind.DATE] if is_past_field(f"{slot.name} {slot.schema.get('description', '')}")]
    ahead = [slot for slot in by_kind[Kind.DATE] if slot not in past]
    if past and (len(past) == len(by_kind[Kind.DATE]) or reading.asked in [slot.name for slot in past]):
        reading.put(past, [_iso(hit) for hit in find_dates(text, today, language, past=True)])
    days = reading.free(find_dates(text, today, language))
    if ranges := by_kind[Kind.DATE_RANGE]:
        meant = sorted(hit.value for hit in not_negated(days, reading.folded))
        if len(meant) >= 2 or (meant and not ahead):
            reading.set(ranges[0].name, f"{meant[0].isoformat()}/{meant[-1].isoformat()}")
    reading.put(ahead, [_iso(hit) for hit in days])
    times = reading.free(find_times(text, language))
    parts = find_parts_of_day(text)
    reading.put(by_kind[Kind.TIME], [Mention(hit.start, hit.end, as_time(hit.value)) for hit in times])
    if wanted := by_kind[Kind.PART_OF_DAY]:
        if parts:
            reading.set(wanted[0].name, choose_one(not_negated(parts, reading.folded), reading.folded).value)
        elif times and wanted[0].name == reading.asked:
            reading.set(wanted[0].name, part_of(times[0].value))
    reading.take(parts)


def _iso(hit: Mention[date]) -> Mention[str]:
    return Mention(hit.start, hit.end, hit.value.isoformat())


def _said(slot: Slot, text: str, *, asked: bool = False) -> list[Mention[str]]:
    return find_choices(text, list(slot.values or {}), slot.synonyms or {}, asked=asked)


def _choices(reading: _Reading, slots: Sequence[Slot]) -> None:
    everything: list[Mention[str]] = []
    for slot in slots:
        found = not_negated(_said(slot, reading.text, asked=slot.name == reading.asked), reading.folded)
        values = slot.values or {}
        if slot.many and found:
            reading.set(slot.name, list(dict.fromkeys(values[hit.value] for hit in found)))
        elif found:
            reading.set(slot.name, values[choose_one(found, reading.folded).value])
        everything += found
    reading.take(everything)


def _patterns(reading: _Reading, slots: Sequence[Slot]) -> None:
    for slot in slots:
        pattern = compiled(slot.schema["pattern"])
        for match in re.finditer(r"[^\s,;!?()]{1,64}", reading.text):
            written = match.group().strip(".:'\"")
            kept = next((each for each in (written, written.upper()) if pattern.search(each) and len(each) > 1), None)
            if kept is not None and (any(char.isdecimal() for char in kept) or slot.name == reading.asked):
                reading.set(slot.name, kept)
                reading.take([Mention(*match.span(), None)])
                break


def _numbers(reading: _Reading, slots: Sequence[Slot]) -> None:
    """A number needs a sign of what it counts: a word beside it that the parameter's name or description has."""
    if not slots:
        return
    left = reading.free(find_numbers(reading.folded, reading.language))
    rated = [(_evidence(hit, slot, reading.folded), -hit.start, hit, slot) for hit in left for slot in slots]
    for evidence, _, hit, slot in sorted(rated, key=lambda each: each[:2], reverse=True):
        if evidence > 0 and hit in left and slot.name not in reading.values:
            reading.set(slot.name, hit.value)
            left.remove(hit)
    for slot in slots:
        if slot.stems & _PEOPLE and _ALONE.search(reading.folded):
            reading.set(slot.name, 1.0)
    asked = next((slot for slot in slots if slot.name == reading.asked and slot.name not in reading.values), None)
    if asked is not None and left:
        reading.set(asked.name, choose_one(not_negated(left, reading.folded), reading.folded).value)
    reading.take([hit for hit in left if not _opens_name(hit, reading.text)])


def _opens_name(hit: Mention[float], text: str) -> bool:
    """Whether a word with a capital follows: "7 Eleven" is no seven of anything."""
    return bool(re.match(r"\s+[A-Z][a-z]", text[hit.end : hit.end + 4]))


def _evidence(hit: Mention[float], slot: Slot, folded: str) -> float:
    before, after = folded[max(0, hit.start - 30) : hit.start], folded[hit.end : hit.end + 30]
    following = [word.text for word in words(re.split(r"[,.;!?]", after)[0])[:3]]
    leading = [word.text for word in words(re.split(r"[,.;!?]", before)[-1])[-3:]]
    score = sum(weight for word, weight in zip(following, (2.0, 1.0, 0.5), strict=False) if akin([word], slot.stems))
    score += 0.7 * akin(leading, slot.stems)
    if slot.stems & _PEOPLE and (_OF_US.match(after) or (_GROUP.search(before) and not following)):
        score += 1.0
    return score


def _persons(reading: _Reading, slots: Sequence[Slot]) -> None:
    if not slots:
        return
    reading.put(slots, find_names(reading.text))


def _proper_names(reading: _Reading, by_kind: Mapping[Kind, list[Slot]]) -> None:
    """Places and titles. A name behind a preposition of place is a place if a place is wanted; others are titles."""
    places, titles = by_kind[Kind.PLACE], by_kind[Kind.TITLE]
    if not places and not titles:
        return
    quoted = reading.free(find_quoted(reading.text)) if titles else []
    reading.put(titles, quoted)
    titles = [slot for slot in titles if slot.name not in reading.values]
    runs = find_places(reading.text, reading.streets, reading.taken, reading.language)
    asked_place = next((slot for slot in places if slot.name == reading.asked), None)
    asked_title = next((slot for slot in titles if slot.name == reading.asked), None)
    behind = [run for run in runs if run.value[0] and (run.value[0] != SITE or not titles)]
    named = [run for run in runs if run not in behind]
    if asked_title is not None and named:
        reading.set(asked_title.name, named.pop(0).value[1])
    elif asked_place is not None and not behind and named:
        behind = [named.pop(0)]
    if not places:
        named, behind = sorted([*named, *behind], key=lambda run: run.start), []
    _places(reading, places, behind)
    reading.put(
        [slot for slot in titles if slot.name not in reading.values],
        [Mention(run.start, run.end, run.value[1]) for run in named],
    )


def _places(reading: _Reading, slots: Sequence[Slot], runs: list[Mention[tuple[str, str]]]) -> None:
    """ "From X" fills the parameter for an origin, "to X" that for a destination, "in X" any that is left."""
    open_slots = list(slots)
    for run in runs:
        side, name = run.value
        side = side if side in ("start", "end") else side_of(reading.folded[max(0, run.start - 25) : run.start])
        rated = [
            (
                2.0 * (bool(side) and slot.role == side)
                - 2.0 * (bool(side) and slot.role not in ("", side))
                + 0.5 * (slot.name == reading.asked),
                -rank,
            )
            for rank, slot in enumerate(open_slots)
        ]
        if rated and max(rated)[0] >= 0:
            slot = open_slots.pop(-max(rated)[1])
            reading.set(slot.name, name)


def _bare_answer(reading: _Reading, slot: Slot) -> None:
    """The asked parameter takes what only an answer may: a bare name or phrase, yes or no, the whole message."""
    text = reading.text.strip()
    if slot.kind is Kind.PERSON:
        # "Ann Miller, 020 555 0199": what is said beside it is for other parameters.
        reading.set(slot.name, bare_name(text) or bare_name(_SEGMENTS.split(text)[0]))
    elif slot.kind is Kind.BOOLEAN:
        said = yes_or_no(text)
        values = slot.values or {"true": True, "false": False}
        reading.set(slot.name, None if said is None else values.get(str(said).lower()))
    elif (
        slot.kind in _NAMED_KINDS
        and not is_cancel(text)
        and not is_question(text)
        and yes_or_no(text, whole=True) is None
    ):
        reading.set(slot.name, bare_phrase(text, reading.taken))
    elif slot.kind is Kind.TEXT and text and not is_cancel(text) and not is_question(text):
        reading.set(slot.name, text[: slot.schema.get("maxLength", 1_000)])


def _fitting(slot: Slot, value: Any) -> Any:
    """The value in the type that the schema wants, or None when it does not fit."""
    items = value if slot.many and isinstance(value, list) else [value]
    made = [_typed(slot, item) for item in items]
    if any(item is None or not fits(slot.schema, item) for item in made):
        return None
    return made if slot.many else made[0]


def _typed(slot: Slot, value: Any) -> Any:
    if slot.kind is not Kind.NUMBER or not isinstance(value, float):
        return value
    if slot.values is not None:
        return slot.values.get(f"{value:g}")
    if slot.schema.get("type") == "integer":
        return int(value) if value.is_integer() else None
    if slot.schema.get("type") == "string" or "type" not in slot.schema:
        return f"{value:g}"
    return value
