"""Whatever is written: extraction does not raise, and what it finds fits the schema."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from frontdesk.llm.slots import Earlier, answers, extract, validate, yes_or_no
from frontdesk.llm.slots.text import fold

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "date": {"type": "string", "format": "date"},
        "until_date": {"type": "string", "format": "date"},
        "span": {"type": "string", "format": "date-range"},
        "time": {"type": "string", "format": "time"},
        "part": {"type": "string", "format": "part-of-day"},
        "name": {"type": "string", "format": "person-name", "minLength": 2, "maxLength": 12},
        "email": {"type": "string", "format": "email"},
        "phone": {"type": "string", "format": "phone"},
        "count": {"type": "integer", "minimum": 1, "maximum": 9, "description": "Number of people"},
        "amount": {"type": "number", "description": "Amount in euros"},
        "kind": {"enum": ["red wine", "white wine", None]},
        "sure": {"type": "boolean"},
        "city": {"type": "string", "format": "place"},
        "book_title": {"type": "string"},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}},
        "nested": {"type": "object", "properties": {"x": {"type": "string"}}},
        "reference": {"type": "string", "pattern": "^[A-Z]\\d+$"},
        "note": {"type": "string", "maxLength": 20},
        "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    },
}
PIECES = st.sampled_from(
    [
        *("next Friday", "at 3", "half past two", "um halb drei", "mañana", "le 31.02.", "29 Feb", "12/31", "99:99"),
        *("0:00", "24:00", "1e9", "007", "-5", "3,5 euros", "my name is", "ich heiße", "Anna", "o'Neil", "İstanbul"),
        *("ß", "a@b.co", "+49 30 901820", "in 999 months", "in 99 weeks", "yes", "no", "not", "from", "to", "until"),
        *("red wine", "white", "for 2 people", "the second one", "2026-13-45", "\x00", "\ud800", "🙂", "١٢", "١٢:٣٠"),
        *("½", "²", "三", "minggu", "hari", "se hari", "999 years ago", "in 999 weeks"),
    ]
)
TEXTS = st.text(max_size=80) | st.lists(PIECES, max_size=8).map(" ".join)
LANGUAGES = st.sampled_from(["en", "es", "de", "fr", "pt", "id", "it", "xx", ""])
MOMENTS = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)).map(
    lambda moment: moment.replace(tzinfo=UTC)
)
NAMES = st.sampled_from([None, *SCHEMA["properties"]])


@settings(max_examples=250, deadline=timedelta(seconds=5))
@given(TEXTS, LANGUAGES, MOMENTS, NAMES, st.lists(TEXTS.map(Earlier), max_size=2))
def test_what_is_extracted_fits_the_schema(
    text: str, language: str, now: datetime, asked: str | None, context: list[Earlier]
) -> None:
    values = extract(SCHEMA, text, now=now, language=language, asked=asked, context=context, options=("a", "14:00"))
    assert validate(SCHEMA, values) == []


@settings(max_examples=100, deadline=timedelta(seconds=5))
@given(TEXTS, NAMES.filter(bool))
def test_an_answer_is_what_extraction_fills(text: str, name: str) -> None:
    now = datetime(2026, 11, 18, tzinfo=UTC)
    if answers(SCHEMA["properties"][name], text, now=now, language="en", name=name):
        assert name in extract(
            {"properties": {name: SCHEMA["properties"][name]}}, text, now=now, language="en", asked=name
        )


@settings(max_examples=100, deadline=timedelta(seconds=5))
@given(st.dates(min_value=datetime(2026, 11, 19).date(), max_value=datetime(2029, 1, 1).date()))
def test_an_iso_date_is_itself(day: Any) -> None:
    now = datetime(2026, 11, 18, tzinfo=UTC)
    assert extract({"properties": {"date": SCHEMA["properties"]["date"]}}, f"on {day}", now=now, language="en") == {
        "date": day.isoformat()
    }


@given(st.text())
def test_folding_moves_no_character(text: str) -> None:
    assert len(fold(text)) == len(text)


@given(st.text())
def test_yes_or_no_never_raises(text: str) -> None:
    assert yes_or_no(text) in (True, False, None)
