"""The reader of server-sent events: any bytes, in any pieces."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.llm.providers.sse import MAX_EVENT_BYTES, EventTooLarge, SSEReader

LINE_ENDS = [b"\n", b"\r\n", b"\r"]


def read(pieces: list[bytes]) -> list[bytes]:
    reader = SSEReader()
    return [event for piece in pieces for event in reader.feed(piece)]


def cut(body: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(place, len(body)) for place in places), len(body)]
    return [body[start:end] for start, end in pairwise(edges)]


lines = st.sampled_from(
    [b"data: a", b"data:b", b"data:  c", b"data", b": note", b"event: x", b"id: 1", b"", b"", b"\xff"]
)
bodies = st.lists(st.tuples(lines, st.sampled_from(LINE_ENDS)), max_size=30).map(
    lambda parts: b"".join(line + end for line, end in parts)
)


@given(bodies | st.binary(max_size=200), st.lists(st.integers(0, 400), max_size=40))
def test_events_do_not_depend_on_how_the_body_was_cut(body: bytes, places: list[int]) -> None:
    assert read(cut(body, places)) == read([body])
    assert read([bytes([byte]) for byte in body]) == read([body])


@given(
    st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1), max_size=10),
    st.sampled_from(LINE_ENDS),
)
def test_what_was_sent_is_what_is_read(texts: list[str], end: bytes) -> None:
    body = b"".join(b"data: " + text.encode() + end + end for text in texts)
    assert read([body]) == [text.encode() for text in texts]


@pytest.mark.parametrize("end", LINE_ENDS)
def test_several_data_lines_are_one_event_and_comments_none(end: bytes) -> None:
    body = end.join(
        [b": ping", b"", b"event: delta", b"data: one", b"id: 7", b"data:two", b"", b"", b": ping", b"", b""]
    )
    assert read([body]) == [b"one\ntwo"]


def test_a_byte_order_mark_at_the_beginning_is_passed_over() -> None:
    assert read([b"\xef\xbb", b"\xbfdata: a\n\n"]) == [b"a"]


def test_an_event_that_was_cut_never_happened() -> None:
    assert read([b"data: whole\n\ndata: half\n"]) == [b"whole"]


def test_an_event_ends_with_the_last_byte_of_its_line_ending() -> None:
    reader = SSEReader()
    assert reader.feed(b"data: a\r\r") == [b"a"]
    assert reader.feed(b"\ndata: b\r\n\r\n") == [b"b"]


@pytest.mark.parametrize("piece", [b"data: " + b"x" * 100_000, b"data: " + b"x" * 99_993 + b"\n"])
def test_an_event_without_end_is_refused(piece: bytes) -> None:
    reader = SSEReader()
    with pytest.raises(EventTooLarge):
        for _ in range(MAX_EVENT_BYTES // 100_000 + 2):
            reader.feed(piece)
