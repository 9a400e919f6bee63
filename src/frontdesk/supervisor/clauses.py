"""A message in the parts that may be for different agents."""

import re

# Sentence ends, but not in "2.30", "Dr. Lee" or "e.g."; line breaks.
# All begin with a blank or a semicolon: said first, it spares most places the rest.
_SENTENCES = re.compile(r"(?=[\s;])(?:(?<=[?!…])\s+|(?<=[^\W\d_]{3}\.)\s+(?=\S)|\s*[;\n]+\s*)")
# Where a second wish begins within a sentence, in the six languages of the page.
_JOINTS = re.compile(
    r"\s*,?\s+(?:and\s+also|and|also|plus|y\s+también|y|además|und\s+außerdem|und|außerdem|et\s+aussi|et|e\s+também|e|"
    r"além\s+disso|dan\s+juga|dan|serta)\s+|\s*,\s+",
    re.IGNORECASE,
)
# Numbers, codes and dates are no words: "…, order A-1001 of 2025" adds no wish.
_WORD = re.compile(r"(?<!\w)[^\W\d_]+(?!\w)")

LEAST_WORDS = 3  # of a part that can be a wish of its own
MOST_PARTS = 6


def clauses(text: str) -> list[str]:
    """At most MOST_PARTS parts, in order: the message without the words that join them. One when nothing divides it."""
    parts: list[str] = []
    for sentence in _SENTENCES.split(text):
        if sentence.strip():
            parts.extend(_divided(sentence.strip()))
    if len(parts) <= 1:
        return [text.strip()]
    if len(parts) > MOST_PARTS:
        parts = [*parts[: MOST_PARTS - 1], " ".join(parts[MOST_PARTS - 1 :])]
    return parts


def _divided(sentence: str) -> list[str]:
    """Cut at joints that leave enough words on both sides: "black and white" stays whole."""
    parts: list[str] = []
    begin = 0
    for joint in _JOINTS.finditer(sentence):
        before, after = sentence[begin : joint.start()], sentence[joint.end() :]
        if _count(before) >= LEAST_WORDS and _count(after) >= LEAST_WORDS:
            parts.append(before.strip())
            begin = joint.end()
    parts.append(sentence[begin:].strip())
    return parts


def _count(text: str) -> int:
    return len(_WORD.findall(text))
