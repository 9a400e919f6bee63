"""Dates in the languages that `dates` has no rules for, by the `dateparser` library. Slow: milliseconds a text."""

from datetime import date, datetime

from dateparser.search import search_dates

from frontdesk.llm.slots.text import Mention

_READ = 300  # characters
# What the library raises for a language that it does not know and for texts that it stumbles over.
_STUMBLES = (ValueError, RecursionError, OverflowError, TypeError, AttributeError, KeyError, IndexError)


def find_dates_by_library(text: str, today: date, language: str) -> list[Mention[date]]:
    """Every date that it finds, the future preferred; none for a language that it does not know."""
    settings = {"RELATIVE_BASE": datetime(today.year, today.month, today.day), "PREFER_DATES_FROM": "future"}
    try:
        found = search_dates(text[:_READ], languages=[language], settings=settings) or ()
    except _STUMBLES:
        return []
    mentions = []
    for written, moment, *_ in found:
        start = text.find(written)
        if start >= 0 and len(written) > 2 and any(char.isalpha() for char in written):  # not a bare number
            mentions.append(Mention(start, start + len(written), moment.date()))
    return mentions
