"""Times and parts of the day that a text names.

Without "am" or "pm" and without a part of the day beside it, an hour from 1 to 6 is in the afternoon (desks are not
open at three in the night), except when it is written with a leading zero. "After 3" and "between 2 and 4" are no
exact times and give none, only their part of the day.
"""

import re
from collections.abc import Iterator
from datetime import time
from functools import cache

from frontdesk.llm.slots.calendar_words import AFTERNOON, EVENING, MORNING, PART_OF_DAY
from frontdesk.llm.slots.numbers import number_value, number_words
from frontdesk.llm.slots.text import Mention, fold, one_of, without_overlaps

_PART = one_of(PART_OF_DAY)
_AM_PM = r"(?P<half>a\.?\s?m\b\.?|p\.?\s?m\b\.?)"
_CLOCK = re.compile(
    rf"(?<![\w.,:/])(?:(?P<before>{_PART})\s+(?:at\s+)?)?(?P<hour>\d{{1,2}})(?:[:h]|\.(?=\d\d\s*(?:uhr|[ap]\.?m\b)))"
    rf"(?P<minute>\d\d)"
    rf"(?::\d\d)?(?:\s*(?:uhr|h\b|hrs\b|wib\b|hours\b))?(?:\s*{_AM_PM})?(?![\w/]|[.:]\d)(?:\s+(?P<part>{_PART})(?!\w))?"
)
_HOUR = re.compile(
    rf"(?<![\w.,:/$€-])(?P<hour>\d{{1,2}})\s*(?:{_AM_PM}|(?P<mark>uhr|o['\"]?\s?clock|h|hrs|horas|heures?)(?!\w))(?:\s+(?P<part>{_PART})(?!\w))?"
    rf"|(?<![\w.,:/$€-])(?P<plain>\d{{1,2}})\s+(?P<plain_part>{_PART})(?!\w)"
    rf"|(?<!\w)(?P<before>{_PART})\s+(?:at\s+)?(?P<after>\d{{1,2}})(?![\w:/]|[.,]\d)"
)
_NOON = re.compile(
    r"(?<!\w)(?:at\s+)?(?:12\s+)?(?:noon|midday|mediodia|mittags|midi|meio-dia|meio\s+dia|tengah\s+hari)(?!\w)"
)
_MIDNIGHT = re.compile(
    r"(?<!\w)(?:at\s+)?(?:12\s+)?(?:midnight|medianoche|mitternacht|minuit|meia-noite|tengah\s+malam)(?!\w)"
)
_INEXACT = re.compile(
    r"\b(?:after|before|by|until|till|since|between|past|earlier\s+than|later\s+than|nach|vor|bis|zwischen|despues\s+de|"
    r"antes\s+d[eao]s?|entre|hasta|apres|avant|jusqu'a|depois\s+d[ao]s?|ate|setelah|sebelum|antara|sampai)\s+(?:las?\s+|as\s+|jam\s+|pukul\s+)?$"
    r"|\b(?:between|zwischen|entre|antara)\s+(?:las?\s+|as\s+|jam\s+)?\S+(?:\s*[ap]m)?\s+(?:and|und|y|et|e|dan)\s+(?:las?\s+|as\s+)?$"
)
_PARTS = re.compile(rf"(?<!\w)(?:{_PART})(?!\w)")
_GREETING = re.compile(r"(?:good|buen[oa]s?|guten|bon|bom|boa|selamat)\s+$")
_WEEKDAY_MORNING = re.compile(r"(?:tag|woch)\s+(?P<morgen>morgen)(?!\w)")  # German: "Freitag Morgen"
# Before a bare hour, by language. English "for 4" is a number of people, so `for` is none of these.
_AT = {
    "en": r"(?:at|around|about|@)", "es": r"(?:a|sobre|hacia)\s+las?", "de": r"(?:um|gegen)", "fr": r"(?:a|vers)",
    "pt": r"(?:as?|pelas)", "id": r"(?:jam|pukul)",
}  # fmt: skip


def find_times(text: str, language: str) -> list[Mention[time]]:
    """Exact times, in order."""
    folded = fold(text)
    found = [
        *_by_clock(folded),
        *_by_hour(folded),
        *_fixed(folded),
        *_spoken(language, folded),
        *_after_at(language, folded),
    ]
    return [hit for hit in without_overlaps(found) if not _INEXACT.search(folded[: hit.start])]


def find_parts_of_day(text: str) -> list[Mention[str]]:
    """Each `morning`, `afternoon` or `evening` that is named, in order."""
    folded = fold(text)
    found = [Mention(*match.span(), PART_OF_DAY[_single(match.group())]) for match in _PARTS.finditer(folded)]
    found += [Mention(match.start("morgen"), match.end(), MORNING) for match in _WEEKDAY_MORNING.finditer(folded)]
    return without_overlaps(hit for hit in found if not _GREETING.search(folded[: hit.start]))


def part_of(moment: time) -> str:
    return MORNING if moment.hour < 12 else AFTERNOON if moment.hour < 18 else EVENING


def _single(phrase: str) -> str:
    return " ".join(phrase.split())


def _made(hour: int, minute: int, half: str | None, part: str | None, *, as_written: bool = False) -> time | None:
    """The time of these parts, or None when it is none (25:00, 13 pm is taken for 13)."""
    if not (0 <= hour <= 24 and 0 <= minute <= 59):
        return None
    part = PART_OF_DAY.get(_single(part)) if part else None
    if half:
        hour = hour % 12 + (12 if half.startswith("p") else 0) if hour <= 12 else hour
    elif part == EVENING and hour in (12, 1, 2, 3):  # "2 at night" is two hours after midnight
        hour %= 12
    elif (part in (AFTERNOON, EVENING) and hour < 12) or (part is None and 1 <= hour <= 6 and not as_written):
        hour += 12
    return time(hour % 24, minute)


def _mention(match: re.Match[str], made: time | None) -> Iterator[Mention[time]]:
    if made is not None:
        yield Mention(*match.span(), made)


def _by_clock(folded: str) -> Iterator[Mention[time]]:
    for match in _CLOCK.finditer(folded):
        hour = match["hour"]
        made = _made(
            int(hour),
            int(match["minute"]),
            match["half"],
            match["part"] or match["before"],
            as_written=hour.startswith("0"),
        )
        yield from _mention(match, made)


def _by_hour(folded: str) -> Iterator[Mention[time]]:
    for match in _HOUR.finditer(folded):
        hour = int(match["hour"] or match["plain"] or match["after"])
        if match["mark"] in ("h", "hrs", "horas", "heures", "heure") and re.search(
            r"\b(?:for|por|durante|pendant|para)\s+$", folded[: match.start()]
        ):
            continue  # a duration
        yield from _mention(
            match, _made(hour, 0, match["half"], match["part"] or match["plain_part"] or match["before"])
        )


def _fixed(folded: str) -> Iterator[Mention[time]]:
    yield from (Mention(*match.span(), time(12)) for match in _NOON.finditer(folded))
    yield from (Mention(*match.span(), time(0)) for match in _MIDNIGHT.finditer(folded))


@cache
def _hour_words(language: str) -> str:
    return rf"(?:\d{{1,2}}|{one_of(word for word, value in number_words(language).items() if 1 <= value <= 12)})"


@cache
def _patterns(language: str) -> tuple[tuple[re.Pattern[str], int], ...]:
    """(pattern with `hour`, minutes to add) of the language's way to say halves and quarters."""
    hour = rf"(?P<hour>{_hour_words(language)})(?!\w|[:.,]\d)(?:\s*{_AM_PM})?(?:\s+(?:uhr|o'?clock))?"
    hour += rf"(?:\s+(?P<part>{_PART})(?!\w))?"
    said = {
        "en": (
            (r"half\s+past\s+", 30),
            (r"half\s+", 30),
            (r"(?:a\s+)?quarter\s+past\s+", 15),
            (r"(?:a\s+)?quarter\s+(?:to|of|till)\s+", -15),
        ),
        "de": ((r"halb\s+", -30), (r"viertel\s+nach\s+", 15), (r"viertel\s+vor\s+", -15), (r"dreiviertel\s+", -15)),
        "id": ((r"setengah\s+", -30),),
    }.get(language, ())
    after = {
        "es": ((r"\s+y\s+media", 30), (r"\s+y\s+cuarto", 15), (r"\s+menos\s+cuarto", -15)),
        "fr": (
            (r"\s*(?:heures?|h)\s+et\s+demie?", 30),
            (r"\s*(?:heures?|h)\s+et\s+quart", 15),
            (r"\s*(?:heures?|h)\s+moins\s+(?:le\s+)?quart", -15),
        ),
        "pt": ((r"\s+e\s+meia", 30), (r"\s+e\s+um\s+quarto", 15)),
        "id": ((r"\s+lewat\s+seperempat", 15), (r"\s+kurang\s+seperempat", -15)),
        "en": ((r"[\s-]+thirty", 30), (r"[\s-]+fifteen", 15), (r"[\s-]+forty[\s-]five", 45)),
    }.get(language, ())
    tail = rf"(?:\s*{_AM_PM})?(?:\s+(?P<part>{_PART}))?(?!\w)"
    return tuple((re.compile(rf"(?<!\w){words}{hour}"), minutes) for words, minutes in said) + tuple(
        (re.compile(rf"(?<![\w:])(?P<hour>{_hour_words(language)}){words}{tail}"), minutes) for words, minutes in after
    )


def _spoken(language: str, folded: str) -> Iterator[Mention[time]]:
    for pattern, minutes in _patterns(language):
        for match in pattern.finditer(folded):
            hour = number_value(match["hour"], language)
            if hour is None or hour > 24:
                continue
            made = _made(hour, 0, match["half"], match["part"])
            if made is not None:
                total = (made.hour * 60 + minutes) % 1440
                # "half seven" in German is 18:30 as "at seven" would be 7: the hour said decides, not the one reached
                yield Mention(*match.span(), time(*divmod(total, 60)))


@cache
def _at(language: str) -> re.Pattern[str]:
    hour = _hour_words(language)
    close = r"(?!\w|[:/]\d|[.,]\d|\s*(?:%|€|\$|people|persons?|personas|personen|personnes|pessoas|orang|min))"
    written = (
        rf"(?<!\w){_AT.get(language, _AT['en'])}\s+(?P<hour>{hour}){close}(?:\s*(?:o'?clock|uhr))?(?:\s*{_AM_PM})?"
    )
    marked = rf"|(?<!\w)(?P<word>{hour})\s*(?:{_AM_PM.replace('half', 'half2')}|o'?clock|uhr)(?!\w)"
    spoken = rf"{marked}(?:\s+(?P<part2>{_PART})(?!\w))?"
    by_part = rf"|(?<!\w)(?P<word3>{hour})\s+(?P<part3>{_PART})(?!\w)"
    return re.compile(rf"{written}(?:\s+(?P<part>{_PART})(?!\w))?{spoken}{by_part}")


def _after_at(language: str, folded: str) -> Iterator[Mention[time]]:
    for match in _at(language).finditer(folded):
        hour = number_value(match["hour"] or match["word"] or match["word3"], language)
        if hour is not None:
            yield from _mention(
                match,
                _made(hour, 0, match["half"] or match["half2"], match["part"] or match["part2"] or match["part3"]),
            )
