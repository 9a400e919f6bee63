"""A contact's words made fit to stand in a tenant's files: values masked, what tells who somebody is refused."""

import re
import unicodedata
from datetime import datetime
from typing import Any  # JSON Schemas are JSON

from frontdesk.llm import slots

_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_LINK = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
# Telephone numbers, accounts, dates of birth, order numbers: whatever has five digits or more, however they are split.
_NUMBER = re.compile(r"\d(?:[ ./()-]{0,2}\d){4,}")
_ADDRESS = re.compile(
    r"\b\d{1,4}[a-z]?,? [A-Z][\w'-]+(?: [\w'-]+)? (?:street|st|road|rd|avenue|ave|lane|drive)\b"
    r"|\b[A-Z][\w-]*(?:straße|strasse|str\.|weg|gasse|platz) \d{1,4}",
    re.IGNORECASE,
)
_JOINERS = "\u200c\u200d"  # part of the spelling of Arabic and Indic words
_NAME: dict[str, Any] = {"properties": {"name": {"type": "string", "format": "person-name"}}}


_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+")


def masked(text: str) -> str:
    """One line without control and direction marks and what is no character at all; addresses, links and long numbers
    replaced, their shape kept.

    Sentences in which something had to be replaced are left out, where others remain: they serve a wish, and are none.
    """
    kept = "".join(" " if unicodedata.category(c)[0] == "C" and c not in _JOINERS else c for c in text)
    sentences = [(each, _replaced(each)) for each in _SENTENCE_END.split(" ".join(kept.split()))]
    clean = [after for before, after in sentences if before == after and len(after.split()) > 1]
    return " ".join(clean or [after for _, after in sentences])


def _replaced(line: str) -> str:
    line = _EMAIL.sub("name@example.org", line)
    line = _LINK.sub("https://example.org", line)
    return _NUMBER.sub(lambda found: re.sub(r"\d", "0", found[0]), line)


def tells_who(text: str, now: datetime, language: str) -> str | None:
    """What in the text says who somebody is and can't be masked; None for nothing that we know of."""
    if _ADDRESS.search(text):
        return "an address"
    if "name" in slots.extract(_NAME, text, now=now, language=language):
        return "somebody's name"
    return None
