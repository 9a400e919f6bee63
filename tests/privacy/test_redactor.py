"""Placeholders and the way back."""

from hypothesis import given
from hypothesis import strategies as st
from tests.screens import detector

from frontdesk.core import json
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
