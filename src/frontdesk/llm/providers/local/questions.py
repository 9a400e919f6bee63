"""The question within a message that says more: "The traffic is terrible, where do I park?"."""

import re

from frontdesk.llm.slots import is_question
from frontdesk.llm.slots.text import fold, words

_PARTS = re.compile(r"(?<=[?!…])\s+|(?<=[^\W\d_]{3}\.)\s+|\s*[;\n]+\s*|\s*,\s+|\s+[-–]\s+")
_WISH_TO_KNOW = re.compile(
    r"\b(?:(?:want|like|need)(?:ed)?\s+to\s+(?:know|ask)|wonder(?:ing)?|tell\s+me|saber|preguntar|dime|digame|wissen|fragen|"
    r"savoir|demander|dites-moi|perguntar|diga-me|ingin\s+tahu|mau\s+tanya|bertanya)\b"
)
_LEAST_WORDS = 3


def question_in(text: str) -> str | None:
    """The parts that ask, when others do not; None when all of them ask or none does."""
    parts = [part for part in _PARTS.split(text) if part.strip()]
    asking = [part for part in parts if _asks(part)]
    alone = " ".join(asking)
    return alone if 0 < len(asking) < len(parts) and len(words(alone)) >= _LEAST_WORDS else None


def _asks(part: str) -> bool:
    return is_question(part) or bool(_WISH_TO_KNOW.search(fold(part)))
