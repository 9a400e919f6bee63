"""Slot filling by a tool's schema."""

from datetime import datetime
from typing import Any

import pytest

from frontdesk.llm.slots import Earlier, answers, extract, is_cancel, missing, next_question, validate

BOOKING: dict[str, Any] = {
    "type": "object",
    "required": ["service", "date", "time", "name"],
    "properties": {
        "service": {
            "type": "string",
            "enum": ["general practice", "dermatology", "blood test"],
            "x-synonyms": {"dermatology": ["skin", "hautarzt"], "general practice": {"en": ["gp"], "de": ["hausarzt"]}},
            "x-question": {"en": "Which department?", "de": "Welche Abteilung?"},
        },
        "date": {"type": "string", "format": "date", "x-question": "Which day?"},
        "part_of_day": {"type": "string", "format": "part-of-day", "enum": ["morning", "afternoon", "evening"]},
        "time": {"type": "string", "format": "time"},
        "name": {"type": "string", "format": "person-name", "maxLength": 60},
        "phone": {"type": "string", "format": "phone"},
        "email": {"type": "string", "format": "email"},
        "people": {"type": "integer", "minimum": 1, "maximum": 9, "description": "Number of people who come"},
        "first_visit": {"type": "boolean"},
        "reason": {"type": "string", "maxLength": 200},
    },
}
STAY: dict[str, Any] = {
    "type": "object",
    "properties": {
        "check_in_date": {"type": "string", "format": "date", "description": "Start of the stay"},
        "check_out_date": {"type": "string", "format": "date", "description": "End of the stay"},
        "from_city": {"type": "string", "format": "place", "description": "City to leave from"},
        "to_city": {"type": "string", "format": "place", "description": "City to go to"},
        "nights": {"type": "integer", "description": "Number of nights"},
        "rooms": {"type": "integer", "description": "Number of rooms"},
    },
}


def filled(text: str, now: datetime, schema: dict[str, Any] = BOOKING, **more: Any) -> dict[str, Any]:
    return extract(schema, text, now=now, language=more.pop("language", "en"), **more)


def test_one_sentence_fills_everything_it_says(now: datetime) -> None:
    said = "Hi, I'm Anna Schmidt, I need a skin doctor next Friday at 3pm for 2 people, mail me at anna@example.org"
    assert filled(said, now) == {
        "service": "dermatology",
        "date": "2026-11-27",
        "time": "15:00",
        "name": "Anna Schmidt",
        "people": 2,
        "email": "anna@example.org",
    }


@pytest.mark.parametrize(
    ("asked", "said", "expected"),
    [
        ("name", "Anna", "Anna"),
        ("name", "anna maria schmidt", "Anna Maria Schmidt"),
        ("name", "It's José García-Márquez, thanks", "José García-Márquez"),
        ("name", "Ludwig van Beethoven", "Ludwig van Beethoven"),
        ("service", "the gp please", "general practice"),
        ("service", "dermatolgy", "dermatology"),
        ("service", "practice", "general practice"),
        ("phone", "030 / 901820", "030901820"),
        ("phone", "+49 30 901820", "+4930901820"),
        ("people", "three", 3),
        ("people", "just 4", 4),
        ("first_visit", "yes", True),
        ("first_visit", "nope", False),
        ("first_visit", "no, I've been before", False),
        ("reason", "My knee hurts since Monday", "My knee hurts since Monday"),
        ("part_of_day", "mornings are best", "morning"),
        ("part_of_day", "at 3pm", "afternoon"),
    ],
)
def test_the_asked_parameter_takes_a_bare_answer(asked: str, said: str, expected: object, now: datetime) -> None:
    assert filled(said, now, asked=asked)[asked] == expected


@pytest.mark.parametrize(("language", "said", "value"), [
    ("en", "Yes, please", True), ("es", "Sí, claro", True), ("de", "Ja, gerne", True), ("fr", "Oui, d'accord", True),
    ("pt", "Sim", True), ("id", "Iya, betul", True),
    ("en", "No thanks", False), ("es", "No, gracias", False),
    ("de", "Nein danke", False), ("fr", "Non merci", False), ("pt", "Não, obrigado", False),
    ("id", "Tidak usah", False),
])  # fmt: skip
def test_yes_and_no_in_six_languages(language: str, said: str, value: bool, now: datetime) -> None:
    assert filled(said, now, asked="first_visit", language=language)["first_visit"] is value


@pytest.mark.parametrize(("language", "said", "name"), [
    ("en", "my name is anna schmidt", "Anna Schmidt"), ("es", "Me llamo Lucía Pérez y quiero una cita", "Lucía Pérez"),
    ("de", "Ich heiße Jürgen Groß", "Jürgen Groß"), ("fr", "Je m'appelle Zoé Dupont", "Zoé Dupont"),
    ("pt", "Meu nome é João da Silva", "João da Silva"), ("id", "Nama saya Budi Santoso", "Budi Santoso"),
])  # fmt: skip
def test_names_that_are_introduced(language: str, said: str, name: str, now: datetime) -> None:
    assert filled(said, now, language=language)["name"] == name


@pytest.mark.parametrize("said", ["I'm sick", "I'm calling about my bill", "this is urgent", "I am here on Friday"])
def test_what_somebody_is_is_not_their_name(said: str, now: datetime) -> None:
    assert "name" not in filled(said, now)


@pytest.mark.parametrize("said", ["what do you mean?", "yes", "never mind", "tomorrow", "why do you need that?", "12"])
def test_not_everything_is_a_name_when_a_name_was_asked_for(said: str, now: datetime) -> None:
    assert "name" not in filled(said, now, asked="name")


def test_a_correction_wins_over_what_is_refused(now: datetime) -> None:
    assert filled("not Friday but Saturday", now)["date"] == "2026-11-21"
    assert filled("no, make it Thursday", now)["date"] == "2026-11-19"
    assert filled("Move it from Monday to Thursday", now)["date"] == "2026-11-26"  # the one after that Monday
    assert filled("nicht am Freitag, lieber am Samstag", now, language="de")["date"] == "2026-11-21"


def test_two_dates_find_their_sides(now: datetime) -> None:
    expected = {"check_in_date": "2026-11-23", "check_out_date": "2026-11-26"}
    assert filled("from Monday to Thursday", now, STAY) == expected
    assert filled("I check out on Thursday, and check in on Monday", now, STAY) == {
        "check_in_date": "2026-11-23",
        "check_out_date": "2026-11-19",
    }
    assert filled("until Thursday", now, STAY) == {"check_out_date": "2026-11-19"}
    assert filled("vom 23.11. bis 26.11.", now, STAY, language="de") == expected


def test_two_cities_find_their_sides(now: datetime) -> None:
    assert filled("to Paris from San Francisco", now, STAY) == {"to_city": "Paris", "from_city": "San Francisco"}


def test_an_address_is_a_place_wherever_it_stands(now: datetime) -> None:
    schema = {"properties": {"destination": {"type": "string"}}}
    assert filled("The address is 1532 20th Street.", now, schema) == {"destination": "1532 20th Street"}


def test_numbers_go_where_their_words_are(now: datetime) -> None:
    assert filled("2 rooms for three nights", now, STAY) == {"rooms": 2, "nights": 3}


def test_a_number_without_a_sign_of_what_it_counts_fills_nothing(now: datetime) -> None:
    assert filled("My flat is at number 7 on floor 3", now, STAY) == {}


def test_options_are_picked_by_name_and_place(now: datetime) -> None:
    options = ("14:00", "14:30", "16:00")
    for said in ("the second one", "2", "14:30", "half past two", "2:30 please"):
        assert filled(said, now, asked="time", options=options)["time"] == "14:30", said
    assert filled("the last one", now, asked="time", options=options)["time"] == "16:00"


def test_what_was_offered_counts_when_the_contact_takes_it_up(now: datetime) -> None:
    offered = (Earlier("I can offer dermatology on Friday 27 November at 14:30."),)
    taken = filled("Great, book it", now, context=offered)
    assert taken == {"service": "dermatology", "date": "2026-11-27", "time": "14:30"}
    several = (Earlier("On Friday I have 14:00, 14:30 and 16:00."),)
    assert "time" not in filled("yes please", now, context=several)


@pytest.mark.parametrize(("said", "asked", "expected"), [
    ("Friday", "date", True), ("in the afternoon", "date", False), ("what are the visiting hours?", "name", False),
    ("Anna", "name", True), ("never mind", "reason", False), ("my back hurts", "reason", True), ("gp", "service", True),
    ("Where do I park?", "service", False),
])  # fmt: skip
def test_whether_a_message_answers_what_was_asked(said: str, asked: str, expected: bool, now: datetime) -> None:
    parameter = BOOKING["properties"][asked]
    assert answers(parameter, said, now=now, language="en") is expected


def test_questions_come_in_the_order_of_required_and_in_the_contacts_language() -> None:
    assert next_question(BOOKING, {}) == ("service", "Which department?")
    assert next_question(BOOKING, {}, "de") == ("service", "Welche Abteilung?")
    assert next_question(BOOKING, {"service": "dermatology"}) == ("date", "Which day?")
    assert next_question(BOOKING, {"service": "dermatology", "date": "2026-11-27"}) == ("time", "What is the time?")
    assert next_question(BOOKING, dict.fromkeys(("service", "date", "time", "name"), "x")) is None
    assert missing(BOOKING, {"date": "", "service": "x"}) == ["date", "time", "name"]


def test_problems_name_their_parameter() -> None:
    arguments = {"service": "surgery", "date": "27.11.", "time": "25:00", "people": 0, "name": "Anna"}
    assert {problem.parameter for problem in validate(BOOKING, arguments)} == {"service", "date", "time", "people"}
    assert [problem.parameter for problem in validate(BOOKING, {})] == ["service", "date", "time", "name"]


@pytest.mark.parametrize("said", [
    "never mind", "Cancel that please", "no, forget it", "stop", "olvídalo", "déjalo", "vergiss es", "doch nicht",
    "laisse tomber", "esquece isso", "deixa pra lá", "batalkan saja", "tidak jadi",
])  # fmt: skip
def test_giving_up_is_understood(said: str) -> None:
    assert is_cancel(said)


@pytest.mark.parametrize("said", ["cancel my appointment on Friday", "I have to cancel Thursday", "stop by at 3"])
def test_a_wish_to_cancel_something_is_not_giving_up(said: str) -> None:
    assert not is_cancel(said)


def test_a_kind_is_read_from_name_and_description_when_no_format_is_declared(now: datetime) -> None:
    schema = {
        "type": "object",
        "properties": {
            "departure_date": {"type": "string"},
            "origin": {"type": "string", "description": "City where the bus leaves from"},
            "destination": {"type": "string", "description": "City where the bus goes"},
            "group_size": {"type": "string", "enum": ["1", "2", "3"], "description": "Size of group for the booking"},
        },
    }
    said = "I need a bus from San Jose to Los Angeles tomorrow for a group of 3"
    assert filled(said, now, schema) == {
        "departure_date": "2026-11-19",
        "origin": "San Jose",
        "destination": "Los Angeles",
        "group_size": "3",
    }


def test_a_reference_is_found_by_its_pattern(now: datetime) -> None:
    schema = {"type": "object", "properties": {"reference": {"type": "string", "pattern": "^[A-Z]{2}\\d{4}$"}}}
    assert filled("my booking is ab1234.", now, schema) == {"reference": "AB1234"}
