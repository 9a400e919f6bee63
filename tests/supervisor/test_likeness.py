"""The likeness: its weights are of the phrases as they stand, and its phrases are read as their notation says."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontdesk.supervisor import phrases
from frontdesk.supervisor.likeness import FILE, FORMAT, PLACES, Body, Likeness, features
from frontdesk.supervisor.likeness_fitting import fingerprint, fit
from frontdesk.supervisor.phrases import BadPhrase, Text
from frontdesk.supervisor.words import asks, tokens

STORED = Likeness.load()


def of(likeness: Likeness, text: str) -> float:
    return likeness.of(tokens(text), is_question=asks(text))


def test_the_stored_weights_were_learnt_from_the_phrases_as_they_are() -> None:
    body = msgspec.msgpack.decode(FILE.read_bytes(), type=Body)
    assert body.phrases == fingerprint(), "the phrases changed: run `make likeness`"


def test_a_model_reads_words_it_was_not_given_together(tmp_path: Path) -> None:
    (tmp_path / "en.txt").write_text(
        "+ fire\nthe (roof|barn|shed) is burning [badly]\n- everyday\nthe (roof|barn|gate) is painted [red]\n",
        encoding="utf-8",
    )
    likeness = Likeness(fit(phrases.texts(tmp_path), "test"))
    assert of(likeness, "my gate is burning") > 0 > of(likeness, "my shed is painted")
    assert likeness.heaviest(tokens("my gate is burning"), 1) == ["burning"]


def test_weights_of_another_version_are_refused() -> None:
    with pytest.raises(ValueError, match="make likeness"):
        Likeness(Body(FORMAT + 1, "", 0.0, 1.0, bytes(PLACES)))


def test_without_its_weights_nothing_starts(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="likeness"):
        Likeness.load(tmp_path / "likeness.bin")


@given(st.text(max_size=200))
@settings(max_examples=100)
def test_what_is_served_is_what_was_learnt(text: str) -> None:
    body = msgspec.msgpack.decode(FILE.read_bytes(), type=Body)
    weights = memoryview(body.weights).cast("b")
    places = features(tokens(text), is_question=asks(text))
    expected = body.bias + body.step * sum(weights[at] for at in places) / max(len(places), 1) ** 0.5
    assert of(STORED, text) == pytest.approx(expected)


def test_phrases_are_written_out(tmp_path: Path) -> None:
    (tmp_path / "en.txt").write_text(
        "# a remark\n$who = he|my (old|young) dog\n+ accident 16\n$who fell [down (the stairs|a ladder)] , help\n"
        "- everyday 2\n(one|two|three|four) (cats|dogs)\n",
        encoding="utf-8",
    )
    found = phrases.texts(tmp_path)
    kinds = {(text.is_emergency, text.kind) for text in found}
    assert kinds == {(True, "accident"), (False, "everyday")}
    assert Text("my old dog fell down a ladder, help", True, "accident") in found
    assert found == phrases.texts(tmp_path)
    calm = {text.text for text in found if text.kind == "everyday"}
    assert len({text for text in calm if len(text.split()) == 2}) <= 2
    assert any(len(text.split()) == 4 for text in calm), "talk stands beside talk"
    assert any(text.text.split()[-1] in ("cats", "dogs") for text in found if text.is_emergency)


@pytest.mark.parametrize("wrong", ["a phrase without a kind", "+ fire\n$nobody burns", "+ fire\nthe (roof burns"])
def test_a_phrase_against_the_notation_is_refused(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "en.txt").write_text(wrong, encoding="utf-8")
    with pytest.raises(BadPhrase):
        phrases.texts(tmp_path)
