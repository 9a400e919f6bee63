"""Dates and times as people write them, relative to Wednesday 18 November 2026."""

from datetime import date

import pytest

from frontdesk.llm.slots.dates import find_dates
from frontdesk.llm.slots.times import find_parts_of_day, find_times

WEDNESDAY = date(2026, 11, 18)


def dates(text: str, language: str = "en", today: date = WEDNESDAY) -> list[str]:
    return [hit.value.isoformat() for hit in find_dates(text, today, language)]


def times(text: str, language: str = "en") -> list[str]:
    return [hit.value.strftime("%H:%M") for hit in find_times(text, language)]


@pytest.mark.parametrize(
    ("said", "language", "expected"),
    [
        ("today", "en", "2026-11-18"),
        ("tomorrow", "en", "2026-11-19"),
        ("the day after tomorrow please", "en", "2026-11-20"),
        ("Friday", "en", "2026-11-20"),
        ("on friday", "en", "2026-11-20"),
        ("this Friday", "en", "2026-11-20"),
        ("next Friday", "en", "2026-11-27"),
        ("Friday next week", "en", "2026-11-27"),
        ("next week on Friday", "en", "2026-11-27"),
        ("Tuesday next week", "en", "2026-11-24"),
        ("Monday the week after next", "en", "2026-11-30"),
        ("Wednesday", "en", "2026-11-25"),
        ("in two weeks", "en", "2026-12-02"),
        ("in 3 days", "en", "2026-11-21"),
        ("in a month", "en", "2026-12-18"),
        ("27 November", "en", "2026-11-27"),
        ("Friday, 27 November", "en", "2026-11-27"),
        ("Friday the 27th", "en", "2026-11-27"),
        ("Freitag, den 27.11.", "de", "2026-11-27"),
        ("el viernes 27 de noviembre", "es", "2026-11-27"),
        ("November 27th", "en", "2026-11-27"),
        ("Nov 27, 2027", "en", "2027-11-27"),
        ("the 27th", "en", "2026-11-27"),
        ("on the 5th", "en", "2026-12-05"),
        ("the 5th of next month", "en", "2026-12-05"),
        ("March 5th", "en", "2027-03-05"),
        ("2026-11-27", "en", "2026-11-27"),
        ("11/27", "en", "2026-11-27"),
        ("27/11", "en", "2026-11-27"),
        ("12/1/2027", "en", "2027-12-01"),
        ("Feb 29", "en", "2028-02-29"),
        ("wednsday", "en", "2026-11-25"),
        ("firday", "en", "2026-11-20"),
        ("tommorow", "en", "2026-11-19"),
        ("mañana", "es", "2026-11-19"),
        ("mañana por la mañana", "es", "2026-11-19"),
        ("pasado mañana", "es", "2026-11-20"),
        ("el viernes", "es", "2026-11-20"),
        ("el próximo viernes", "es", "2026-11-20"),
        ("el viernes de la semana que viene", "es", "2026-11-27"),
        ("el 5 de diciembre", "es", "2026-12-05"),
        ("dentro de tres días", "es", "2026-11-21"),
        ("morgen", "de", "2026-11-19"),
        ("übermorgen", "de", "2026-11-20"),
        ("am Freitag", "de", "2026-11-20"),
        ("kommenden Freitag", "de", "2026-11-20"),
        ("nächsten Freitag", "de", "2026-11-27"),
        ("nächste Woche Dienstag", "de", "2026-11-24"),
        ("27.11.", "de", "2026-11-27"),
        ("am 27.11.2026", "de", "2026-11-27"),
        ("am 5. Dezember", "de", "2026-12-05"),
        ("in zwei Wochen", "de", "2026-12-02"),
        ("demain", "fr", "2026-11-19"),
        ("après-demain", "fr", "2026-11-20"),
        ("vendredi prochain", "fr", "2026-11-20"),
        ("le 5 décembre", "fr", "2026-12-05"),
        ("le 1er décembre", "fr", "2026-12-01"),
        ("03/12", "fr", "2026-12-03"),
        ("amanhã", "pt", "2026-11-19"),
        ("depois de amanhã", "pt", "2026-11-20"),
        ("na sexta-feira", "pt", "2026-11-20"),
        ("na sexta", "pt", "2026-11-20"),
        ("dia 5 de dezembro", "pt", "2026-12-05"),
        ("besok", "id", "2026-11-19"),
        ("lusa", "id", "2026-11-20"),
        ("hari Jumat", "id", "2026-11-20"),
        ("Jumat depan", "id", "2026-11-27"),
        ("hari Minggu", "id", "2026-11-22"),
        ("2 minggu lagi", "id", "2026-12-02"),
        ("5 Desember", "id", "2026-12-05"),
        ("domani", "it", "2026-11-19"),
    ],
)
def test_a_date_is_understood(said: str, language: str, expected: str) -> None:
    assert dates(said, language) == [expected]


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        (date(2026, 11, 16), "2026-11-27"),  # Monday
        (date(2026, 11, 20), "2026-11-27"),  # Friday
        (date(2026, 11, 22), "2026-11-27"),  # Sunday: next week begins tomorrow
    ],
)
def test_next_friday_is_the_friday_of_next_week(today: date, expected: str) -> None:
    assert dates("next Friday", today=today) == [expected]


def test_a_weekday_named_on_that_day_is_a_week_ahead_unless_it_is_this_one() -> None:
    assert dates("on Wednesday") == ["2026-11-25"]
    assert dates("this Wednesday") == ["2026-11-18"]


@pytest.mark.parametrize(
    ("said", "language"),
    [
        ("May I come?", "en"),
        ("the sun is out and we wed", "en"),
        ("rated 4.1 of 5", "en"),
        ("3-5 people", "en"),
        ("am Morgen", "de"),
        ("guten Morgen", "de"),
        ("por la mañana", "es"),
        ("a segunda opção", "pt"),
        ("minggu depan", "id"),
        ("31/31", "en"),
        ("30 February", "en"),
        ("", "en"),
    ],
)
def test_what_is_no_date_gives_none(said: str, language: str) -> None:
    assert dates(said, language) == []


def test_a_birthday_lies_in_the_past() -> None:
    assert [hit.value.isoformat() for hit in find_dates("5 March 85", WEDNESDAY, "en", past=True)] == ["2026-03-05"]
    assert [hit.value.isoformat() for hit in find_dates("05.03.85", WEDNESDAY, "de", past=True)] == ["1985-03-05"]


@pytest.mark.parametrize(
    ("said", "language", "expected"),
    [
        ("3pm", "en", "15:00"),
        ("3 p.m.", "en", "15:00"),
        ("at 3", "en", "15:00"),
        ("at 9", "en", "09:00"),
        ("14:30", "en", "14:30"),
        ("2:30", "en", "14:30"),
        ("02:30", "en", "02:30"),
        ("half past two", "en", "14:30"),
        ("quarter to five", "en", "16:45"),
        ("half past 4 in the evening", "en", "16:30"),
        ("3 in the afternoon", "en", "15:00"),
        ("afternoon 12:30", "en", "12:30"),
        ("9 at night", "en", "21:00"),
        ("noon", "en", "12:00"),
        ("12 am", "en", "00:00"),
        ("eight o'clock", "en", "08:00"),
        ("a las 3 de la tarde", "es", "15:00"),
        ("a las cinco y media", "es", "17:30"),
        ("um 14 Uhr", "de", "14:00"),
        ("um halb drei", "de", "14:30"),
        ("14.30 Uhr", "de", "14:30"),
        ("à 15h30", "fr", "15:30"),
        ("à 15h", "fr", "15:00"),
        ("às 15h", "pt", "15:00"),
        ("jam 3 sore", "id", "15:00"),
        ("setengah tiga", "id", "14:30"),
    ],
)
def test_a_time_is_understood(said: str, language: str, expected: str) -> None:
    assert times(said, language) == [expected]


@pytest.mark.parametrize(
    "said", ["after 3pm", "before 10:00", "between 2 and 4pm", "25:70", "a table for 4", "on 27/11"]
)
def test_what_is_no_exact_time_gives_none(said: str) -> None:
    assert times(said) == []


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("tomorrow afternoon", ["afternoon"]),
        ("am Freitag Morgen", ["morning"]),
        ("mañana por la tarde", ["afternoon"]),
        ("demain soir", ["evening"]),
        ("de manhã", ["morning"]),
        ("besok pagi", ["morning"]),
        ("Good morning!", []),
    ],
)
def test_parts_of_the_day(said: str, expected: list[str]) -> None:
    assert [hit.value for hit in find_parts_of_day(said)] == expected
