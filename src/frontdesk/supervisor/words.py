"""Text as the guard reads it: folded, without accents and elisions, cut into words and sentences."""

import re
import unicodedata

# A word of the text that ends a clause or a sentence; lexicons may name more (`but`, `aber`, …).
COMMA = ","
STOP = "."

MOST_CHARACTERS = 4_000  # of a message that are read; the limit of messages is below that

_COMBINING = re.compile("[\u0300-\u036f\u0610-\u061a\u064b-\u065f\u0670\u0640\u093c\u200b-\u200f\u2060\ufeff]")
_FOLDS = str.maketrans({
    "ß": "ss", "ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ı": "i",
    "’": "'", "‘": "'", "`": "'", "´": "'", "ʼ": "'",
    # Arabic letters that people write one for the other
    "أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ى": "ي", "ة": "ه", "ؤ": "و", "ئ": "ي", "گ": "ك", "ی": "ي", "ک": "ك",
    "ँ": "ं",
})  # fmt: skip
_DIGITS = {
    ord(digit): str(value) for row in ("٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴۵۶۷۸۹", "०१२३४५६७८९") for value, digit in enumerate(row)
}
_ENGLISH_TAIL = re.compile(r"(?<=[a-z])'(?=(?:m|d|s|t|ll|ve|re|n)\b)")
_ELISION = re.compile(r"\b(qu|jusqu|lorsqu|puisqu|aujourd|[a-z])'(?=[a-z])")
# Devanagari: no letters to `re`, parts of words to us.
_VOWEL_SIGNS = "\u0900-\u0903\u093e-\u094f\u0955-\u0957\u0962\u0963"
_TOKEN = re.compile(rf"[^\W_]+(?:[{_VOWEL_SIGNS}]+[^\W_]*)*|[.!?;\n…।؟،,:()—]|\s-\s")
_STOPS = frozenset(".!?;\n…।؟")
_REPEATED = re.compile(r"([^\W\d_])\1\1+")  # five times as quick as \1{2,}


def fold(text: str) -> str:
    """Lower case without accents; `can't` -> `cant`, `j'ai` -> `j ai`, `heeelp` -> `heelp`; digits are ASCII."""
    text = text[:MOST_CHARACTERS].lower()
    if text.isascii():
        text = text.replace("`", "'")
    else:
        text = unicodedata.normalize("NFKD", text.translate(_FOLDS))
        text = unicodedata.normalize("NFC", _COMBINING.sub("", text)).translate(_FOLDS).translate(_DIGITS)
    if "'" in text:
        text = _ENGLISH_TAIL.sub("", text)
        text = _ELISION.sub(r"\1 ", text).replace("'", "")
    return _REPEATED.sub(r"\1\1", text)


def tokens(text: str) -> list[str]:
    """Words in order, with COMMA and STOP where clauses and sentences end. Never two marks in a row."""
    found: list[str] = []
    for token in _TOKEN.findall(fold(text)):
        mark = STOP if token in _STOPS else COMMA if not token[0].isalnum() else ""
        if not mark:
            found.append(token)
        elif found and found[-1] not in (COMMA, STOP):
            found.append(mark)
        elif found and mark == STOP:
            found[-1] = STOP
    return found


def asks(text: str) -> bool:
    """Whether a question mark stands in `text`; `tokens` keeps only that a sentence ends there."""
    return "?" in text or "؟" in text


def sentences(words: list[str]) -> list[list[str]]:
    """`words` cut at each STOP; no empty sentence."""
    cut: list[list[str]] = [[]]
    for word in words:
        if word == STOP:
            cut.append([])
        else:
            cut[-1].append(word)
    return [sentence for sentence in cut if sentence]
