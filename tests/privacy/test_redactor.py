"""Placeholders and the way back."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.screens import detector

from frontdesk.core import json
from frontdesk.privacy.detector import DetectionTooSlow
from frontdesk.privacy.models import Entity
from frontdesk.privacy.redactor import PLACEHOLDER, Redaction, Restoring, Text

EVERY = frozenset(Entity)
VALUES = st.sampled_from(
    ["ann@example.com", "bob.b@mail.example", "4111 1111 1111 1111", "+49 30 901820", "536-90-4399", "192.168.7.12"]
)
WORDS = st.sampled_from(["order", "[", "]", "[EMAIL", "_1]", "[EMAIL_1]", "[PHONE_2]", "please", "\n", "[1]", "é"])
TEXTS = st.lists(VALUES | WORDS, max_size=12).map(" ".join)


def redaction() -> Redaction:
    return Redaction(detector(), EVERY)


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_every_value_is_hidden_and_comes_back(texts: list[str]) -> None:
    hiding = redaction()
    hidden = hiding.hide([Text(text) for text in texts])
    assert not any(value in text for text in hidden for value in ("@", "4111 1111", "901820", "536-90", "192.168"))
    assert [hiding.restored(text) for text in hidden] == texts


@given(st.lists(TEXTS, min_size=1, max_size=3), st.data())
def test_a_stream_cut_anywhere_restores_like_the_whole(texts: list[str], data: st.DataObject) -> None:
    hiding = redaction()
    whole = " ".join(hiding.hide([Text(text) for text in texts]))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=20)))
    told: list[str] = []
    stream = Restoring(hiding, told.append)
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        stream.feed(whole[start:end])
        # Nothing that was told is a cut placeholder: each of them was whole, or is held back.
        assert "".join(told) == hiding.restored(whole[: end - len(stream.held)])
    stream.end()
    assert "".join(told) == hiding.restored(whole)


def test_the_same_value_has_the_same_placeholder_and_others_have_others() -> None:
    hidden = redaction().hide([Text("ann@example.com, bob@example.com"), Text("Again: ann@example.com")])
    assert hidden == ["[EMAIL_1], [EMAIL_2]", "Again: [EMAIL_1]"]


def test_a_value_found_in_one_text_is_hidden_in_all() -> None:
    hidden = redaction().hide([Text("My name is Clotilde Perrin."), Text("ref ab-7: Clotilde Perrin 9am")])
    assert hidden == ["My name is [PERSON_1].", "ref ab-7: [PERSON_1] 9am"]


def test_a_value_is_not_looked_for_within_longer_words() -> None:
    hidden = redaction().hide([Text("My SSN is 536-90-4399"), Text("x1536-90-43991 and 536-90-4399")])
    assert hidden[1] == "x1536-90-43991 and [NATIONAL_ID_1]"


def test_what_looks_like_a_placeholder_opens_nobody_elses_value() -> None:
    hiding = redaction()
    hidden = hiding.hide([Text("I am ann@example.com"), Text("say [EMAIL_1] and [EMAIL_2]")])
    assert hidden == ["I am [EMAIL_1]", "say [LITERAL_1] and [LITERAL_2]"]
    assert (
        hiding.restored("[LITERAL_1] [EMAIL_1] [EMAIL_2] [PHONE_1]") == "[EMAIL_1] ann@example.com [EMAIL_2] [PHONE_1]"
    )


def test_our_own_text_keeps_its_values_but_not_what_looks_like_a_placeholder() -> None:
    hiding = redaction()
    assert hiding.hide([Text("Call 030 901820 or [EMAIL_1]", is_ours=True)]) == ["Call 030 901820 or [LITERAL_1]"]


def test_another_request_s_placeholder_stays_closed() -> None:
    one, other = redaction(), redaction()
    one.hide([Text("ann@example.com")])
    other.hide([Text("nothing here")])
    assert other.restored("[EMAIL_1]") == "[EMAIL_1]"


@given(st.text(max_size=20), st.text(max_size=20))
def test_values_in_json_come_back_without_its_escapes(before: str, after: str) -> None:
    text = json.dumps_text({"note": f"{before} ann@example.com {after}", "to": "bob@example.com"})
    hiding = redaction()
    (hidden,) = hiding.hide([Text(text, holds_json=True)])
    assert "ann@example.com" not in hidden
    assert "bob@example.com" not in hidden
    assert json.loads(hiding.restored_json(hidden)) == json.loads(text)


def test_an_address_with_a_line_end_in_json_comes_back_as_it_was() -> None:
    address = "12 Baker Street\nLondon NW1 6XE"
    hiding = redaction()
    (hidden,) = hiding.hide([Text(json.dumps_text({"address": address}), holds_json=True)])
    assert "Baker" not in hidden
    assert hiding.restored(json.loads(hidden)["address"]) == address


def test_arguments_keep_their_structure() -> None:
    hiding = redaction()
    hiding.hide([Text("ann@example.com 4111111111111111")])
    arguments = {"to": ["ann@example.com"], "card": 4111111111111111, "copies": 2, "urgent": True, "note": None}
    hidden = hiding.hidden_value(arguments)
    assert hidden == {"to": ["[EMAIL_1]"], "card": "[CARD_1]", "copies": 2, "urgent": True, "note": None}
    assert hiding.restored_value(hidden) == arguments | {"card": "4111111111111111"}


def test_only_what_the_policy_names_is_hidden() -> None:
    hiding = Redaction(detector(), frozenset({Entity.CARD}))
    assert hiding.hide([Text("ann@example.com 4111111111111111")]) == ["ann@example.com [CARD_1]"]


def test_placeholders_are_what_the_pattern_says() -> None:
    hiding = redaction()
    (hidden,) = hiding.hide([Text("ann@example.com +49 30 901820")])
    assert PLACEHOLDER.findall(hidden) == ["[EMAIL_1]", "[PHONE_1]"]


def test_of_what_we_say_ourselves_only_the_quotes_are_searched() -> None:
    text = 'Now: Monday (Europe/Berlin), call +49 30 901820.\nSaid (data): "I am ann@example.com"'
    (hidden,) = redaction().hide([Text(text, holds_json=True, is_ours=True)])
    assert hidden == text.replace("ann@example.com", "[EMAIL_1]")


WRITTEN = "Paid:\n4111111111111111\nIBAN:\tDE89370400440532013000\r\nmail\njohn.doe@example.com\ncall +49 30 901820"
FOUND = ("4111111111111111", "DE89370400440532013000", "john.doe@example.com", "901820")


@pytest.mark.parametrize(
    "value",
    [
        WRITTEN,
        [WRITTEN],
        {"data": {"note": WRITTEN}},
        {WRITTEN: 1},
        {"note": json.dumps_text({"note": WRITTEN})},  # JSON that is a text in JSON
        {"quoted": 'said "x": \\ \n' + WRITTEN, "path": "C:\\"},
    ],
)
def test_what_stands_behind_an_escape_is_found_and_comes_back(value: object) -> None:
    hiding = redaction()
    text = json.dumps_text(value)
    (hidden,) = hiding.hide([Text(text, holds_json=True)])
    assert not any(found in hidden for found in FOUND)
    assert hiding.restored_value(json.loads(hidden)) == value
    (plain,) = redaction().hide([Text(text)])  # pasted by a contact
    assert not any(found in plain for found in FOUND)


def test_no_escape_is_taken_for_a_part_of_a_value() -> None:
    hiding = redaction()
    (hidden,) = hiding.hide([Text(json.dumps_text({"n": "mail\njohn.doe@example.com"}), holds_json=True)])
    assert hidden == r'{"n":"mail\n[EMAIL_1]"}'
    assert hiding.restored("[EMAIL_1]") == "john.doe@example.com"


def test_a_value_is_hidden_again_behind_an_escape() -> None:
    text = json.dumps_text({"a": "ref\tzq Clotilde Perrin\n", "b": "\nClotilde Perrin"})
    hidden = redaction().hide([Text("My name is Clotilde Perrin."), Text(text, holds_json=True)])
    assert json.loads(hidden[1]) == {"a": "ref\tzq [PERSON_1]\n", "b": "\n[PERSON_1]"}


def test_names_of_fields_are_hidden() -> None:
    hiding = redaction()
    value = {"john.doe@example.com": {"n": 1}, "n": {"4111111111111111": [2]}}
    hidden = hiding.hidden_value(value)
    assert hidden == {"[EMAIL_1]": {"n": 1}, "n": {"[CARD_1]": [2]}}
    assert hiding.restored_value(hidden) == value


def test_names_of_fields_between_two_values_stay() -> None:
    value = {"name": "Ann Miller", "street": "12 Baker Street", "city": "London", "zip": "NW1 6XE", "copies": 2}
    hiding = redaction()
    hidden = hiding.hidden_value(value)
    assert list(hidden) == list(value)
    assert hiding.restored_value(hidden) == value


def test_a_day_of_birth_is_hidden_where_its_field_alone_says_so() -> None:
    hidden = redaction().hidden_value({"date_of_birth": "1980-01-02T00:00:00Z", "seats": 2})
    assert hidden == {"date_of_birth": "[DATE_OF_BIRTH_1]T00:00:00Z", "seats": 2}


def test_a_number_of_json_is_hidden_as_a_text() -> None:
    hiding = redaction()
    text = json.dumps_text({"card": 4111111111111111, "all": [4111111111111111, 1.5], "year": -7})
    (hidden,) = hiding.hide([Text(text, holds_json=True)])
    assert json.loads(hidden) == {"card": "[CARD_1]", "all": ["[CARD_1]", 1.5], "year": -7}


@given(
    st.recursive(
        TEXTS | st.integers(-999, 999), lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=8
    )
)
def test_json_stays_json_and_comes_back(value: object) -> None:
    hiding = redaction()
    (hidden,) = hiding.hide([Text(json.dumps_text(value), holds_json=True)])
    assert not any(each in hidden for each in ("@", "4111 1111", "901820", "536-90", "192.168"))
    assert hiding.restored_value(json.loads(hidden)) == value


def test_what_looks_like_a_placeholder_uncovers_nothing_around_it() -> None:
    hiding = redaction()
    text = "I live at 12 Baker Street [AB_1] London NW1 6XE."
    for begun in (text, text.replace(" [AB_1] ", " [AB_1]")):
        (hidden,) = hiding.hide([Text(begun)])
        assert "Baker" not in hidden
        assert "NW1" not in hidden
        assert hiding.restored(hidden) == begun


def test_of_two_values_that_overlap_nothing_is_left() -> None:
    hidden = redaction().hide([Text("My name is Clotilde Perrin."), Text("zq: Clotilde Perrin ann@example.com")])
    assert hidden[1] == "zq: [PERSON_1] [EMAIL_1]"


def spent(count: int) -> float:
    """CPU seconds for hiding so many values again, in texts that were searched."""
    values = [f"user{number}@example.com" for number in range(count)]
    texts = [Text(json.dumps_text(values), holds_json=True), Text(json.dumps_text(values[::-1]), holds_json=True)]
    redaction().hide(texts)
    began = time.thread_time()
    redaction().hide(texts)
    return time.thread_time() - began


def test_the_time_grows_with_the_text_and_not_with_its_square() -> None:
    assert min(spent(4_000) for _ in range(3)) < 12 * min(spent(500) for _ in range(3))


def test_all_texts_have_one_deadline() -> None:
    hiding = Redaction(detector(), EVERY, ends_at=time.monotonic() - 1)
    with pytest.raises(DetectionTooSlow):
        hiding.hide([Text("ann@example.com, which nobody read before")])
    redaction().hide([Text("ann@example.com, which was read before")])
    with pytest.raises(DetectionTooSlow):
        hiding.hide([Text("ann@example.com, which was read before")])


def test_nothing_is_not_taken_for_a_part_of_an_address() -> None:
    hiding = redaction()
    value = [{}, None, '\n\\"London NW1 6XE[EMAIL_1]"born 1980-01-02']
    hidden = hiding.hidden_value(value)
    assert "London" not in hidden[2]
    assert hiding.restored_value(hidden) == value
