"""Which of the offered agents a contact picks: by number, by place, by name, or all of them."""

import re
from collections.abc import Sequence

from rapidfuzz import fuzz, utils

_PLACES = (
    ("1", "first", "primero", "primera", "erste", "ersten", "premier", "première", "primeiro", "primeira", "pertama"),
    ("2", "second", "segundo", "segunda", "zweite", "zweiten", "deuxième", "second", "seconde", "kedua"),
    ("3", "third", "tercero", "tercera", "dritte", "dritten", "troisième", "terceiro", "terceira", "ketiga"),
)
_ALL = frozenset(
    {"both", "all", "ambos", "ambas", "todos", "beide", "beides", "alle", "tous", "deux", "keduanya", "semua"}
)
_WORD = re.compile(r"\w+")
_SIMILAR = 80.0
_SHORT_WORDS = 8


def picked(text: str, names: Sequence[str], titles: Sequence[str]) -> list[int]:
    """Indices of the options meant; empty when the text is no pick (it says something of its own)."""
    words = _WORD.findall(text.lower())
    if not words or len(words) > _SHORT_WORDS:
        return []
    if _ALL & set(words):
        return list(range(len(names)))
    for place, spellings in enumerate(_PLACES[: len(names)]):
        if set(words) & set(spellings):
            return [place]
    likeness = [
        max(
            fuzz.token_set_ratio(text, title, processor=utils.default_process),
            fuzz.partial_ratio(text, name.replace("_", " "), processor=utils.default_process) if len(text) > 3 else 0,
        )
        for name, title in zip(names, titles, strict=True)
    ]
    best = max(range(len(names)), key=likeness.__getitem__)
    second = sorted(likeness)[-2] if len(likeness) > 1 else 0.0
    return [best] if likeness[best] >= _SIMILAR and likeness[best] - second >= 5 else []
