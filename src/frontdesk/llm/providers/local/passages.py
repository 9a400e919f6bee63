"""Passages cut into the units that an answer may quote: sentences, and list items whole."""

import re
from dataclasses import dataclass
from typing import Any  # a tool's result is untyped JSON

_ITEM = re.compile(r"^\s*(?:[-*•–]|\d{1,2}[.)])\s+")
_RULE = re.compile(r"^\s*(?:[-=_*]{3,}|\|?[\s:|-]+\|)\s*$")
_HEADING = re.compile(r"^\s*#{1,6}\s+")
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+(?=[\"'“‘(¿¡]?[^\W\d_a-zà-ÿ]|\d|[\"“¿¡])")
_ABBREVIATED = re.compile(
    r"(?:\b(?:dr|mr|mrs|ms|prof|st|no|nr|tel|approx|ca|e\.g|i\.e|z\.b|d\.h|bzw|vs|etc|sr|sra|art|abs|fig|[a-z])\.|\b[ap]\.m\.)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Passage:
    ref: int
    title: str
    heading: str
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Unit:
    """A sentence or a list item. `lead` is the place of the line that introduces the item's list, if one does."""

    passage: Passage
    place: int
    text: str
    is_item: bool
    lead: int | None = None


def passages_of(result: dict[str, Any]) -> list[Passage]:
    """What a knowledge tool found; entries that are not of its form are left out."""
    found = result.get("passages")
    if not isinstance(found, list):
        return []
    return [
        Passage(
            each["ref"],
            str(each.get("title") or ""),
            str(each.get("heading") or ""),
            each["text"],
            float(each.get("score") or 0.0),
        )
        for each in found
        if isinstance(each, dict) and isinstance(each.get("ref"), int) and isinstance(each.get("text"), str)
    ]


def units_of(passage: Passage) -> list[Unit]:
    units: list[Unit] = []
    lead: int | None = None
    for is_item, text in _blocks(passage.text):
        if is_item:
            units.append(Unit(passage, len(units), text, True, lead))
            continue
        for sentence in sentences(text):
            units.append(Unit(passage, len(units), sentence, False))
        lead = len(units) - 1 if units and units[-1].text.endswith(":") else None
    return units


def sentences(text: str) -> list[str]:
    """The text's sentences; an abbreviation's full stop ends none."""
    parts: list[str] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        if not _ABBREVIATED.search(text[start : match.start()]):
            parts.append(text[start : match.end()].strip())
            start = match.end()
    parts.append(text[start:].strip())
    return [part for part in parts if part]


def _blocks(text: str) -> list[tuple[bool, str]]:
    """(is a list item, text) for each paragraph and item; lines that belong together joined, headings left out."""
    blocks: list[tuple[bool, str]] = []
    is_open = False
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped or _RULE.match(line) or _HEADING.match(line):
            is_open = False
        elif _ITEM.match(line) or (stripped.startswith("|") and stripped.endswith("|")):
            item = _ITEM.sub("", stripped) if not stripped.startswith("|") else " – ".join(_cells(stripped))
            blocks.append((True, item.strip()))
            is_open = True
        elif is_open:
            is_item, before = blocks[-1]
            ends = before.endswith((".", "!", "?", ":")) and is_item and not line.startswith((" ", "\t"))
            if ends:
                blocks.append((False, stripped))
            else:
                blocks[-1] = (is_item, f"{before} {stripped}")
        else:
            blocks.append((False, stripped))
            is_open = True
    return blocks


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|") if cell.strip()]
