"""Arguments: what is mended, what is missing, what is wrong; and schemas that are refused."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from frontdesk.core import json
from frontdesk.core.errors import DefinitionError
from frontdesk.tools.schema import InputSchema, OutputSchema

BOOKING = {
    "type": "object",
    "additionalProperties": False,
    "required": ["department", "date", "time", "name"],
    "properties": {
        "department": {"type": "string", "enum": ["Cardiology", "Dermatology"]},
        "date": {"type": "string", "format": "date"},
        "time": {"type": "string", "format": "time"},
        "name": {
            "type": "string",
            "format": "person-name",
            "x-question": {"en": "What is your name?", "de": "Wie heißen Sie?"},
        },
        "people": {"type": "integer", "minimum": 1, "maximum": 9},
        "price": {"type": "number"},
        "first_visit": {"type": "boolean"},
        "email": {"type": "string", "format": "email"},
        "phone": {"type": "string", "format": "phone"},
        "notes": {"type": "array", "items": {"type": "string"}},
        "part_of_day": {"type": "string", "format": "part-of-day"},
        "insurance_number": {"type": "string", "description": "Your insurance number."},
    },
}
COMPLETE = {"department": "Cardiology", "date": "2026-11-27", "time": "14:30", "name": "Ana Ruiz"}


@pytest.mark.parametrize(
    ("name", "given_value", "value"),
    [
        ("people", "3", 3),
        ("people", 3.0, 3),
        ("price", "3.5", 3.5),
        ("first_visit", "Yes", True),
        ("first_visit", "false", False),
        ("department", " cardiology ", "Cardiology"),
        ("date", "2026-11-27T00:00:00", "2026-11-27"),
        ("time", "9:05", "09:05"),
        ("time", "14:30:00", "14:30"),
        ("notes", '["a", "b"]', ["a", "b"]),
        ("insurance_number", 12345, "12345"),
        ("name", "Ana\x00 Ruiz\ud800", "Ana Ruiz"),
    ],
)
def test_what_can_only_mean_one_thing_is_mended(name: str, given_value: Any, value: Any) -> None:
    checked = InputSchema(BOOKING).check({**COMPLETE, name: given_value})
    assert checked.is_valid
    assert checked.value[name] == value


@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_what_says_nothing_is_as_good_as_missing(nothing: Any) -> None:
    checked = InputSchema(BOOKING).check({**COMPLETE, "name": nothing, "email": nothing})
    assert checked.missing == ("name",)
    assert "email" not in checked.value
    assert not checked.problems


def test_missing_ones_come_in_the_order_of_the_schema() -> None:
    assert InputSchema(BOOKING).check({"time": "14:00"}).missing == ("department", "date", "name")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("date", "next friday", "date: 'next friday' is not a date (YYYY-MM-DD)"),
        ("date", "2026-02-30", "date: '2026-02-30' is not a date (YYYY-MM-DD)"),
        ("time", "25:00", "time: '25:00' is not a time (HH:MM)"),
        ("people", 12, "people: 12 is too large (at most 9)"),
        ("people", "many", "people: 'many' is not of type integer"),
        ("email", "ana@", "email: 'ana@' is not an email address"),
        ("phone", "12", "phone: '12' is not a phone number"),
        ("phone", "+1", "phone: '+1' is not a phone number"),
        ("department", "Magic", "department: 'Magic' is not one of Cardiology, Dermatology"),
        ("part_of_day", "soon", "part_of_day: 'soon' is not a part of the day (morning, afternoon, evening, night)"),
        ("first_visit", 3, "first_visit: 3 is not of type boolean"),
    ],
)
def test_a_wrong_value_is_told_in_a_sentence_that_says_what_is_accepted(name: str, value: Any, sentence: str) -> None:
    checked = InputSchema(BOOKING).check({**COMPLETE, name: value})
    assert [problem.sentence for problem in checked.problems] == [sentence]
    assert checked.problems[0].parameter == name


def test_an_unknown_parameter_is_named_with_the_known_ones() -> None:
    (problem,) = InputSchema(BOOKING).check({**COMPLETE, "colour": "red"}).problems
    assert problem.sentence.startswith("there is no colour; known: department, date, time, name")


@pytest.mark.parametrize("phone", ["+49 30 901820", "030 901820", "(415) 555-2671", "+62 812-3456-789"])
def test_phone_numbers_of_many_forms_are_taken(phone: str) -> None:
    assert InputSchema(BOOKING).check({**COMPLETE, "phone": phone}).is_valid


def test_the_question_is_in_the_contacts_language_else_in_english() -> None:
    schema = InputSchema(BOOKING)
    assert schema.question("name", "de") == "Wie heißen Sie?"
    assert schema.question("name", "fr") == "What is your name?"
    assert schema.question("date", "en") is None
    assert schema.label("insurance_number") == "Your insurance number"
    assert schema.options("department") == ("Cardiology", "Dermatology")


@pytest.mark.parametrize(
    ("schema", "what"),
    [
        ({"type": "string"}, "type: object"),
        ({"type": "object", "properties": {"a": "string"}}, "properties"),
        ({"type": "object", "properties": {}, "required": ["a"]}, "'a'"),
        ({"type": "object", "properties": {"a": {"type": "strin"}}}, "properties.a.type"),
        ({"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}}, "pattern"),
        ({"type": "object", "properties": {"a": {"type": "string", "pattern": "(?!b)a"}}}, "pattern"),
        ({"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1/schema.json"}}}, "same schema"),
        ({"type": "object", "properties": {"a": {"x-question": {"en": 3}}}}, "x-question"),
        ({"type": "object", "properties": {"a": {"x-synonyms": ["b"]}}}, "x-synonyms"),
    ],
)
def test_a_bad_schema_is_refused_with_what_is_wrong(schema: dict[str, Any], what: str) -> None:
    with pytest.raises(DefinitionError, match=what.replace(".", r"\.")):
        InputSchema(schema)


def test_a_pattern_that_backtracks_for_ever_elsewhere_is_checked_at_once() -> None:
    schema = OutputSchema({"type": "string", "pattern": "^(a+)+$"})
    assert schema.problem("a" * 5_000) is None
    assert schema.problem("a" * 5_000 + "b") is not None


def test_the_output_schema_names_what_the_result_lacks() -> None:
    schema = OutputSchema({"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}})
    assert schema.problem({"id": 3}) is None
    assert schema.problem({}) == "id is missing"
    assert schema.problem({"id": "x"}) == "id: 'x' is not of type integer"
    assert schema.problem("<html>") == "'<html>' is not of type object"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@example({"people": 2.0**63})
@given(st.dictionaries(st.sampled_from([*BOOKING["properties"], "other"]) | st.text(max_size=5), anything, max_size=6))
def test_whatever_a_model_sends_is_judged_and_can_be_stored(arguments: dict[str, Any]) -> None:
    schema = InputSchema(BOOKING)
    checked = schema.check(arguments)
    assert schema.check(checked.value).value == checked.value or checked.value != checked.value
    assert all(len(problem.sentence) < 600 for problem in checked.problems)
    json.dumps(checked.value)


def test_absurd_nesting_is_cut() -> None:
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    checked = InputSchema({"type": "object", "properties": {"a": {}}}).check({"a": deep})
    assert len(repr(checked.value)) < 200
