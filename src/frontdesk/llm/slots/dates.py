"""Dates that a text names, relative to a day, preferring the future.

The rules, so that a reader can foresee the answer (weeks begin on Monday; the agent reads the date back anyway):

- A weekday alone, with "on", "this", "coming" (and Spanish "el próximo", French "prochain", Portuguese "próxima") is
  the first such day after today; "this Friday" said on a Friday is today.
- "next Friday" (German "nächsten", Indonesian "depan") is the Friday of next calendar week, as is "Friday next week".
- A day or month without a year is the next one that has not passed; "the 5th" the next 5th.
- 3/4 is March 4th in English and 3 April in the other languages; where only one reading is a date, that one.
- Languages without rules here are read by `dateparser`.
"""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache

from rapidfuzz.distance import OSA

from frontdesk.llm.slots.calendar_words import (
    DAY_ORDINALS,
    MONTHS,
    NEXT_WEEK,
    RELATIVE_DAYS,
    RELATIVE_DAYS_OF_ONE_LANGUAGE,
    SHORT_WEEKDAYS,
    THIS_WEEK,
    UNITS,
    WEEK_AFTER_NEXT,
    WEEKDAYS,
    WEEKDAYS_OF_ONE_LANGUAGE,
)
from frontdesk.llm.slots.lexicon import LANGUAGES
from frontdesk.llm.slots.numbers import number_pattern, number_value
from frontdesk.llm.slots.text import Mention, fold, one_of, without_overlaps, words

_NEXT_BEFORE = r"next|nachste[nrs]?|following"
_COMING_BEFORE = r"coming|kommende[nrs]?|proxim[oa]|(?:el|na|no)\s+proxim[oa]|upcoming"
_THIS_BEFORE = r"this|diese[nrsm]?|este|esta|nest[ae]|ce|cette"
_LAST_BEFORE = r"last|letzte[nrs]?|(?:el\s+)?pasado|ultim[oa]"
_NEXT_AFTER = r"depan|week(?!\s*end)"  # "Friday week"
_COMING_AFTER = r"que\s+(?:viene|vem)|proxim[oa]|prochaine?"
_LAST_AFTER = r"pasado|passad[oa]|derniere?|lalu|kemarin"

_WEEKDAY = re.compile(
    rf"(?<![\w-])(?:(?:(?P<next>{_NEXT_BEFORE})|(?P<coming>{_COMING_BEFORE})|(?P<this>{_THIS_BEFORE})|(?P<last>{_LAST_BEFORE}))"
    rf"\s+)?(?:(?P<hari>hari)\s+)?(?P<day>{one_of(WEEKDAYS)}|(?P<short>{one_of(SHORT_WEEKDAYS)}))(?:s|en)?\b\.?"
    rf"(?:\s+(?:(?P<next_after>{_NEXT_AFTER})|(?P<coming_after>{_COMING_AFTER})|(?P<last_after>{_LAST_AFTER}))\b)?"
)
_WEEK = re.compile(
    rf"(?<!\w)(?:(?P<after_next>{one_of(WEEK_AFTER_NEXT)})|(?P<next>{one_of(NEXT_WEEK)})|(?P<this>{one_of(THIS_WEEK)}))(?!\w)"
)
# What may stand between a weekday and its week.
_LINK = re.compile(r"^[\s,]*(?:(?:on|of|in|the|am|der|den|el|la|de|le|en|na|no|da|hari|pada)\s+)*$")
_SAME_DAY = re.compile(r"^[\s,.]*(?:the|den|dem|der|am|el|le|dia|tanggal)?\s*$")
_UP_TO = re.compile(
    r"^\s*(?:-|to|until|till|through|bis|a|al|hasta|au|jusqu'au|ate|sampai|hingga)\s*(?:the|el|le|la|hari)?\s*$"
)
_RELATIVE = re.compile(rf"(?<!\w)(?:{one_of(RELATIVE_DAYS)})(?!\w)")
# Spanish: "mañana" is tomorrow unless it is the morning of something.
_MANANA = re.compile(r"(?<!\w)(?<!la )(?<!esta )manana(?!\w)")
# German: "morgen" is tomorrow unless it is a morning ("am Morgen", "Freitag Morgen").
_MORGEN = re.compile(r"(?<!\w)(?<!am )(?<!guten )(?<!diesen )(?<!jeden )(?<!heute )morgen(?!\w)")
_WEEKDAY_BEFORE = re.compile(rf"(?:{one_of(WEEKDAYS)})\s+$")

_ORDINAL_END = r"(?:st|nd|rd|th|\.º|º|°|er|\.)?"
_OF = r"(?:\s*(?:of|de|del|von)\s+|\s*[.,-]?\s*)"
_YEAR = r"(?:(?:\s*,\s*|\s+(?:de\s+|del\s+|of\s+)?)(?P<year>(?:19|20)\d\d))?"
_DAY = rf"(?P<day>\d{{1,2}}|{one_of(DAY_ORDINALS)})"
_DAY_MONTH = re.compile(rf"(?<![\w.:/]){_DAY}{_ORDINAL_END}{_OF}(?P<month>{one_of(MONTHS)})\b\.?{_YEAR}(?!\w)")
_MONTH_DAY = re.compile(
    rf"(?<!\w)(?P<month>{one_of(MONTHS)})\.?\s+(?:the\s+)?{_DAY}(?:st|nd|rd|th)?(?![\w:]|\.\d){_YEAR}(?!\w)"
)
_ISO = re.compile(r"(?<!\d)(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})(?!\d)")
# Not "4.1" (a rating, a price): a second point, a year or a German "am" must show that it is a date.
_DOTTED = re.compile(
    r"(?<![\w.,:])(?P<german>(?:am|vom|zum|der|den|dem|ab|bis)\s+)?(?P<first>\d{1,2})\.\s?(?P<second>\d{1,2})"
    r"(?:\.\s?(?P<year>\d{4}|\d{2}(?![:.\d]))|(?P<point>\.(?!\d)))?(?![\w:]|,\d)"
)
_SLASHED = re.compile(
    r"(?<![\w/.:-])(?P<first>\d{1,2})(?P<mark>[/-])(?P<second>\d{1,2})(?:(?P=mark)(?P<year>\d{4}|\d\d))?(?![\w/:-])"
)
_ORDINAL_DAY = re.compile(
    rf"(?<!\w)(?:the|on\s+the)\s+(?:(?P<day>\d{{1,2}})(?:st|nd|rd|th)|(?P<word>{one_of(DAY_ORDINALS)})(?=\s+of\s+(?:this|next|the)|\s*[.?!,]?\s*$))"
    r"(?:\s+of)?(?:\s+(?P<which>this|next|the)\s+month)?(?!\w)"
    r"|(?<!\w)(?P<bare>\d{1,2})(?:st|nd|rd|th)(?:\s+of)?(?:\s+(?P<bare_which>this|next|the)\s+month)?(?!\w)"
    r"|(?<!\w)(?:el\s+dia|dia|tanggal|el)\s+(?P<named>\d{1,2})(?!\w|[:.,/-]\d|\s*%)"
    r"|(?<!\w)(?:am|zum|den|vom|bis\s+zum)\s+(?P<german>\d{1,2})\.(?!\d|\s*\d|\w)"
)
_BIRTH = re.compile(r"birth|born|geburt|nacimiento|nacido|naissance|nascimento|lahir")


def find_dates(text: str, today: date, language: str, *, past: bool = False) -> list[Mention[date]]:
    """Every date named, in order. With `past` a date without a year or direction is the last one, not the next."""
    folded = fold(text)
    found = _find(text, folded, today, language, past)
    if not found and (mended := _mended(folded)) is not None:
        found = [
            Mention(min(hit.start, len(text)), min(hit.end, len(text)), hit.value)
            for hit in _find(text, mended, today, language, past)
        ]
    if not found and language not in LANGUAGES:
        # Here, not above: importing dateparser costs 0.4 s, which a start without such languages need not pay.
        from frontdesk.llm.slots.other_languages import find_dates_by_library  # noqa: PLC0415

        found = find_dates_by_library(text, today, language)
    return found


def is_past_field(description: str) -> bool:
    """Whether a parameter described so asks for a day gone by (a birthday)."""
    return bool(_BIRTH.search(fold(description)))


def _find(text: str, folded: str, today: date, language: str, past: bool) -> list[Mention[date]]:
    found = [*_absolute(folded, today, language, past), *_relative(folded, today, language)]
    found += _weekdays(text, folded, today, language)
    return _joined(without_overlaps(found), folded)


def _joined(found: list[Mention[date]], folded: str) -> list[Mention[date]]:
    """ "Friday, 27 November" is one date, the exact one; in "Monday to Thursday" the Thursday follows the Monday."""
    kept: list[Mention[date]] = []
    for hit in found:
        before = kept[-1] if kept else None
        between = folded[before.end : hit.start] if before else ""
        if before and _SAME_DAY.match(between) and _is_bare(before, folded) != _is_bare(hit, folded):
            exact = hit if _is_bare(before, folded) else before
            kept[-1] = Mention(before.start, hit.end, exact.value)
        elif before and _UP_TO.match(between) and _is_bare(hit, folded) and hit.value < before.value:
            weeks = -(-(before.value - hit.value).days // 7)
            kept.append(Mention(hit.start, hit.end, hit.value + timedelta(weeks=weeks)))
        else:
            kept.append(hit)
    return kept


def _is_bare(hit: Mention[date], folded: str) -> bool:
    return folded[hit.start : hit.end].strip(" .") in WEEKDAYS


def _weekdays(text: str, folded: str, today: date, language: str) -> Iterator[Mention[date]]:
    weeks = list(_WEEK.finditer(folded))
    for match in _WEEKDAY.finditer(folded):
        name = match["day"]
        if WEEKDAYS_OF_ONE_LANGUAGE.get(name, language) != language or not _is_weekday(
            text, folded, match, weeks, language
        ):
            continue
        day = SHORT_WEEKDAYS[name] if match["short"] else WEEKDAYS[name]
        start, end = match.span()
        week = next(
            (week for week in weeks if _LINK.match(folded[min(week.end(), end) : max(week.start(), start)])), None
        )
        if week is not None and not (match.start("day") < week.end() and week.start() < match.end("day")):
            ahead = 2 if week["after_next"] else 1 if week["next"] else 0
            start, end = min(start, week.start()), max(end, week.end())
            yield Mention(start, end, _of_week(today, day, ahead))
        elif match["next"] or match["next_after"]:
            yield Mention(start, end, _of_week(today, day, 1))
        elif match["last"] or match["last_after"]:
            yield Mention(start, end, today - timedelta(days=(today.weekday() - day - 1) % 7 + 1))
        else:
            days = (day - today.weekday()) % 7
            yield Mention(start, end, today + timedelta(days=days if days or match["this"] else 7))


def _is_weekday(text: str, folded: str, match: re.Match[str], weeks: list[re.Match[str]], language: str) -> bool:
    if match["day"] == "minggu":  # "hari Minggu" is Sunday; "minggu depan" next week, "2 minggu" two weeks
        counted = re.search(rf"(?:{number_pattern('id')})\s+$", folded[: match.start("day")])
        return bool(match["hari"]) or (
            not counted and not any(week.start() <= match.start("day") < week.end() for week in weeks)
        )
    if match["short"]:
        start = match.start("short")
        return language == "en" and (
            text[start].isupper() or bool(re.search(r"\b(?:on|next|this|coming)\s+$", folded[:start]))
        )
    if match["day"] in WEEKDAYS_OF_ONE_LANGUAGE:  # also an ordinal: "a segunda opção"
        return not re.match(r"\s+(?:opcao|vez|pessoa|consulta|parte|via)", folded[match.end("day") :])
    return True


def _of_week(today: date, weekday: int, ahead: int) -> date:
    monday = today - timedelta(days=today.weekday())
    return monday + timedelta(days=weekday, weeks=ahead)


def _relative(folded: str, today: date, language: str) -> Iterator[Mention[date]]:
    for match in _RELATIVE.finditer(folded):
        phrase = " ".join(match.group().split())
        if RELATIVE_DAYS_OF_ONE_LANGUAGE.get(phrase, language) == language:
            yield Mention(match.start(), match.end(), today + timedelta(days=RELATIVE_DAYS[phrase]))
    for match in _MANANA.finditer(folded):
        yield Mention(match.start(), match.end(), today + timedelta(days=1))
    for match in _MORGEN.finditer(folded):
        if not _WEEKDAY_BEFORE.search(folded[: match.start()]):
            yield Mention(match.start(), match.end(), today + timedelta(days=1))
    for match in _spans_of_time(language).finditer(folded):
        ahead = match["ahead"] or match["later"]
        number = ahead or match["ago"] or match["since"]
        unit = match["unit"] or match["unit2"] or match["unit3"] or match["unit4"]
        count = 1 if number in ("se", "a", "an", "one") else number_value(number, language)
        if count is not None:
            moved = _moved(today, count if ahead else -count, UNITS[unit])
            yield Mention(match.start(), match.end(), moved)


@cache
def _spans_of_time(language: str) -> re.Pattern[str]:
    number, unit = number_pattern(language), one_of(UNITS)
    article = rf"{number}|a|an|one|se"
    return re.compile(
        rf"(?<!\w)(?:in|en|dentro\s+de|dans|em|daqui\s+a|dalam)\s+(?P<ahead>{article})\s*(?P<unit>{unit})(?!\w)"
        rf"|(?<!\w)(?P<later>{article})\s*(?P<unit2>{unit})\s+(?:from\s+(?:now|today)|lagi|mas\s+tarde|spater)(?!\w)"
        rf"|(?<!\w)(?P<ago>{article})\s*(?P<unit3>{unit})\s+(?:ago|atras|lalu|yang\s+lalu)(?!\w)"
        rf"|(?<!\w)(?:vor|hace|il\s+y\s+a|ha)\s+(?P<since>{article})\s*(?P<unit4>{unit})(?!\w)"
    )


def _moved(today: date, count: int, unit_days: int) -> date:
    if unit_days != 30:
        return today + timedelta(days=count * unit_days)
    year, month = divmod(today.year * 12 + today.month - 1 + count, 12)
    return next(made for day in range(today.day, 0, -1) if (made := _made(year, month + 1, day)))


def _absolute(folded: str, today: date, language: str, past: bool) -> Iterator[Mention[date]]:
    for match in _ISO.finditer(folded):
        yield from _mention(match, _made(int(match["year"]), int(match["month"]), int(match["day"])))
    for pattern in (_DAY_MONTH, _MONTH_DAY):
        for match in pattern.finditer(folded):
            day = int(match["day"]) if match["day"].isdecimal() else DAY_ORDINALS[match["day"]]
            yield from _mention(match, _dated(match["year"], MONTHS[match["month"]], day, today, past))
    for match in _DOTTED.finditer(folded):
        shown = match["year"] or (match["point"] and language != "en") or (match["german"] and language == "de")
        if shown and not re.match(r"\s*(?:uhr|h\b|€|eur|%|am\b|pm\b)", folded[match.end() :]):
            yield from _mention(match, _dated(match["year"], int(match["second"]), int(match["first"]), today, past))
    for match in _SLASHED.finditer(folded):
        if match["mark"] == "-" and not match["year"]:  # "3-5 people"
            continue
        first, second = int(match["first"]), int(match["second"])
        month, day = (first, second) if language == "en" else (second, first)
        made = _dated(match["year"], month, day, today, past) or _dated(match["year"], day, month, today, past)
        yield from _mention(match, made)
    for match in _ORDINAL_DAY.finditer(folded):
        number = match["day"] or match["bare"] or match["named"] or match["german"]
        day = int(number) if number else DAY_ORDINALS[match["word"]]
        which = match["which"] or match["bare_which"]
        yield from _mention(match, _day_of_month(day, today, which))


def _mention(match: re.Match[str], made: date | None) -> Iterator[Mention[date]]:
    if made is not None:
        yield Mention(match.start(), match.end(), made)


def _made(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _dated(year: str | None, month: int, day: int, today: date, past: bool) -> date | None:
    if year is not None:
        full = int(year) + (0 if len(year) == 4 else 1900 if past and int(year) > today.year % 100 else 2000)
        return _made(full, month, day)
    years = range(today.year, today.year - 9, -1) if past else range(today.year, today.year + 9)  # 9: a leap day
    candidates = (_made(each, month, day) for each in years)
    return next((made for made in candidates if made and (made <= today if past else made >= today)), None)


def _day_of_month(day: int, today: date, which: str | None) -> date | None:
    if not 1 <= day <= 31:
        return None
    first = 1 if which == "next" else 0
    months = (divmod(today.year * 12 + today.month - 1 + ahead, 12) for ahead in range(first, first + 3))
    candidates = (_made(year, month + 1, day) for year, month in months)
    return next((made for made in candidates if made and (made >= today or which in ("this", "next"))), None)


_MENDED = [name for name in (*WEEKDAYS, "tomorrow") if len(name) >= 6]


def _mended(folded: str) -> str | None:
    """The text with misspelt weekdays put right; None when there is none. A swap of two letters is one mistake."""
    for word in words(folded):
        if len(word.text) < 5 or len(word.text) > 12:
            continue
        near = [(OSA.distance(word.text, name, score_cutoff=2), name) for name in _MENDED]
        distance, name = min(near)
        if 0 < distance <= (2 if len(name) >= 8 else 1):
            return f"{folded[: word.start]}{name}{folded[word.end :]}"
    return None
