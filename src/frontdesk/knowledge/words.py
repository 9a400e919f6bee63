"""Text as PostgreSQL's full text search should read it, passages and queries alike."""

import re
import unicodedata

# Written without spaces between words: each character is made a word (kana, CJK, compatibility ideographs, Thai).
_UNSPACED = re.compile(r"([\u0e01-\u0e30\u0e40-\u0e46\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])")
_ACCENTS = re.compile(r"[\u0300-\u036f]+")
_NUL = "\x00"  # what PostgreSQL's text can't hold

# PostgreSQL refuses a tsvector above 1 MiB, and a query's thousandth word says no more.
MAX_CHARACTERS = 20_000


def searchable(text: str) -> str:
    """Without accents, so that `cuales` finds `cuáles`; scripts without spaces taken apart."""
    text = text[:MAX_CHARACTERS].replace(_NUL, " ").encode("utf-8", "replace").decode()
    return _UNSPACED.sub(r" \1 ", _ACCENTS.sub("", unicodedata.normalize("NFKD", text)))
