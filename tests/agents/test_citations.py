"""Markers in answers: whatever the cuts of a stream, the same text; only what was found is cited, word for word."""

import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.agents.citations import MarkerFilter, References, cite, without_markers
from frontdesk.knowledge.models import Passage

TEXT = "Visitors come from 14:00 to 19:00. Children need company. Pets stay outside."


def passage(number: int, text: str = TEXT, start: int = 50) -> Passage:
    return Passage(UUID(int=number), UUID(int=99), f"{number}.md", "Title", "", start, start + len(text), text, 0.5)


FOUND = {number: passage(number) for number in (1, 2, 3, 12)}


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("A [1].", "A [1]."),
        ("A [3]. B [1]. C [3].", "A [1]. B [2]. C [1]."),
        ("A [9].", "A."),
        ("A[2][9][12].", "A[1][2]."),
        ("A [1, 2,9].", "A [1][2]."),
        ("A [99, 98].", "A."),
        ("An array[i] and [x] and [] and [ 1] stay", "An array[i] and [x] and [] and [ 1] stay"),
        ("ends with [1", "ends with [1"),
        ("ends with [", "ends with ["),
        ("[1234] is no marker", "[1234] is no marker"),
    ],
)
def test_markers_are_put_in_order_and_made_up_ones_go(text: str, clean: str) -> None:
    assert cite(text, FOUND)[0] == clean


@given(
    st.lists(st.sampled_from(["[", "]", "1", "2", "9", ",", " ", ", ", "a.", "[3]", " [12]", "\n", "(x)"])), st.data()
)
def test_however_a_stream_is_cut_the_text_is_the_same(pieces: list[str], data: st.DataObject) -> None:
    text = "".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    markers = MarkerFilter(FOUND)
    streamed = "".join(markers.feed(text[a:b]) for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True))
    streamed += markers.flush()
    whole, citations = cite(text, FOUND)
    assert streamed == whole
    assert {int(number) for number in re.findall(r"\[(\d{1,3})\]", whole)} == set(range(1, len(citations) + 1))
    assert markers.cited == [FOUND[int(citation.document.removesuffix(".md"))] for citation in citations]


@pytest.mark.parametrize(
    ("answer", "quote"),
    [
        ("Children need company. [1]", "Children need company."),
        ("Children need company [1].", "Children need company"),
        ("Of course! Children need company. [1]", "Children need company."),
        ("- Visitors come from 14:00 to 19:00. [1]\n- Pets stay outside. [1]", TEXT),
        ("- Pets stay outside. [1]", "Pets stay outside."),
        ("Kids must not come alone [1].", TEXT),
        ("Children need company. [1] Kids must not come alone [1].", TEXT),
    ],
)
def test_the_quote_is_the_documents_text_at_its_place(answer: str, quote: str) -> None:
    _, (citation,) = cite(answer, {1: passage(1)})
    assert citation.quote == quote
    document = " " * 50 + TEXT
    assert document[citation.start : citation.end] == quote


@given(st.text(max_size=60), st.integers(0, 1000))
def test_offsets_and_quotes_always_agree(claim: str, start: int) -> None:
    _, citations = cite(f"{claim} [1]", {1: passage(1, start=start)})
    for citation in citations:
        assert TEXT[citation.start - start : citation.end - start] == citation.quote


@given(st.lists(st.sampled_from(["\n", " ", "Yes.", "  ", "[2]", "[9]", "No"]), max_size=8))
def test_what_a_reader_hears_is_the_answer_that_is_kept(pieces: list[str]) -> None:
    """Models begin and end with blank lines; those that were heard and not kept made the whole answer come twice."""
    markers = MarkerFilter(FOUND)
    heard = "".join([*map(markers.feed, pieces), markers.flush()])
    assert heard == cite("".join(pieces).strip(), FOUND)[0]


def test_a_passage_found_twice_has_one_number() -> None:
    references = References()
    assert [references.ref(passage(number)) for number in (5, 6, 5)] == [1, 2, 1]
    assert list(references.passages) == [1, 2]


def test_an_earlier_answer_is_read_without_its_markers() -> None:
    assert without_markers("A [1]. B[2].") == "A. B."
