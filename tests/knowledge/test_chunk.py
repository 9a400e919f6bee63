"""Pieces of extracts: exact offsets, bounded size, nothing lost, headings as paths."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import Invalid
from frontdesk.knowledge.chunk import CHARACTERS_PER_TOKEN, ChunkSettings, chunk, embedded_text
from frontdesk.knowledge.models import Extract, Source
from frontdesk.knowledge.parse import DocumentRefused, parse


def words(text: str) -> int:
    """Tokens enough for these tests: words and signs."""
    return len(re.findall(r"\w+|[^\w\s]", text))


BLOCKS = st.one_of(
    st.text(st.sampled_from("abc  .,;\n\n#-*é中🩺\u0301"), min_size=1, max_size=120),
    st.builds("{} {}".format, st.sampled_from(["#", "##", "####"]), st.text("xyz é", min_size=1, max_size=20)),
)
SETTINGS = st.builds(ChunkSettings, st.integers(16, 60), st.integers(0, 8))


@given(st.lists(BLOCKS, min_size=1, max_size=12), SETTINGS, st.sampled_from([".md", ".txt", ".html"]))
def test_pieces_are_exact_in_order_and_lose_nothing(blocks: list[str], settings: ChunkSettings, suffix: str) -> None:
    try:
        extract = parse(Source(f"a{suffix}", "\n\n".join(blocks).encode()))
    except DocumentRefused:
        return
    pieces = chunk(extract, settings, words)
    assert pieces
    covered = [False] * len(extract.text)
    for heading in extract.headings:
        covered[heading.start : heading.end] = [True] * (heading.end - heading.start)
    last = 0
    for piece in pieces:
        assert 0 <= piece.start < piece.end <= len(extract.text)
        assert last <= piece.start
        last = piece.start
        text = extract.text[piece.start : piece.end]
        assert text.strip()
        assert words(text) <= settings.tokens
        assert len(text) <= settings.tokens * CHARACTERS_PER_TOKEN
        covered[piece.start : piece.end] = [True] * len(text)
    assert all(done or sign.isspace() for done, sign in zip(covered, extract.text, strict=True))


def test_no_piece_crosses_a_heading_and_each_knows_its_path() -> None:
    blocks = [
        "Intro.",
        "# Pay",
        "By card.",
        "## Abroad",
        "By wire.",
        "### Fees",
        "## Late",
        "Ask us.",
        "# Find",
        "Here.",
    ]
    extract = parse(Source("a.md", "\n\n".join(blocks).encode()))
    pieces = chunk(extract, ChunkSettings(), words)
    assert [(p.heading, extract.text[p.start : p.end]) for p in pieces] == [
        ("", "Intro."),
        ("Pay", "By card."),
        ("Pay › Abroad", "By wire."),
        ("Pay › Late", "Ask us."),
        ("Find", "Here."),
    ]
    assert [embedded_text(extract, piece) for piece in pieces][:3] == [
        "Pay\n\nIntro.",
        "Pay\nBy card.",
        "Pay › Abroad\nBy wire.",
    ]


def test_a_document_of_headings_only_is_its_own_text() -> None:
    extract = parse(Source("a.md", b"# Closed\n\n## Until May"))
    assert [extract.text[p.start : p.end] for p in chunk(extract, ChunkSettings(), words)] == ["Closed\n\nUntil May"]


def test_neighbours_share_the_overlap() -> None:
    extract = Extract("T", " ".join(f"Sentence number {n}." for n in range(30)), (), "text/plain")
    pieces = chunk(extract, ChunkSettings(20, 8), words)
    assert all(later.start < earlier.end for earlier, later in pairwise(pieces))


def test_text_without_words_is_cut_by_length() -> None:
    extract = Extract("T", "a" * 10_000, (), "text/plain")
    assert max(p.end - p.start for p in chunk(extract, ChunkSettings(100, 0), words)) <= 1000


@pytest.mark.parametrize(("tokens", "overlap"), [(15, 0), (241, 0), (100, 51), (100, -1)])
def test_sizes_out_of_range_are_refused(tokens: int, overlap: int) -> None:
    with pytest.raises(Invalid, match="chunk_"):
        ChunkSettings(tokens, overlap)
