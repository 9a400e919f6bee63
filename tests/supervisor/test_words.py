"""Text as the guard reads it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.supervisor.words import COMMA, STOP, fold, sentences, tokens


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I can't, he's out!", ["i", "cant", COMMA, "hes", "out", STOP]),
        ("J’ai mal à l'hôpital", ["j", "ai", "mal", "a", "l", "hopital"]),
        ("Straße: HEEEELP", ["strasse", COMMA, "heelp"]),
        ("गोलियाँ खा लीं।", ["गोलियां", "खा", "लीं", STOP]),
        ("أُريد، الآن", ["اريد", COMMA, "الان"]),
        ("٣٠ حبة", ["30", "حبه"]),
    ],
)
def test_words_are_folded_and_clauses_marked(text: str, words: list[str]) -> None:
    assert tokens(text) == words


@given(st.text(max_size=300))
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert tokens(" ".join(tokens(fold(text)))) == tokens(fold(text))


@given(st.text(max_size=300))
def test_sentences_hold_every_word_in_order(text: str) -> None:
    words = tokens(text)
    assert [word for sentence in sentences(words) for word in sentence] == [word for word in words if word != STOP]
