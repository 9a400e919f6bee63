"""Incremental extractive summaries: the sentences of a conversation that carry its facts, within a bound."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from frontdesk.llm.providers.local.passages import sentences
from frontdesk.llm.providers.local.smalltalk import small_talk
from frontdesk.llm.slots.lexicon import FILLERS
from frontdesk.llm.slots.text import fold, stem, words
from frontdesk.llm.types import Message, Role

LIMIT, SENTENCE_LIMIT = 1_200, 240  # characters
_SPEAKERS = {Role.USER: "Contact", Role.ASSISTANT: "Desk"}
_FACT = re.compile(
    r"\d|[@€$£%]|(?<=\S )[A-ZÀ-Þ][\w'’-]+|"
    r"\b(?:not|never|allerg|cancel|confirm|book|urgent|nicht|kein|pas|nao|tidak)\w*"
)
_MARKER = re.compile(r"\s*\[\d{1,3}\]")


@dataclass(frozen=True, slots=True)
class _Line:
    place: int
    speaker: str
    text: str
    is_old: bool


def summarise(old_summary: str, messages: Sequence[Message], *, limit: int = LIMIT) -> str:
    """The old summary brought up to date with what was said since: lines `- Contact: …` and `- Desk: …`, in order, at
    most `limit` characters. The words are the speakers' own; lines with figures, names and decisions stay longest.
    """
    lines = [*_old(old_summary), *_new(messages)]
    unique = list({(line.speaker, fold(line.text)): line for line in lines}.values())
    often = Counter(word for line in unique for word in set(_content(line.text)))
    ranked = sorted(unique, key=lambda line: -_worth(line, often, len(lines)))
    kept: list[_Line] = []
    room = limit
    for line in ranked:
        if (length := len(_written(line)) + 1) <= room:
            kept.append(line)
            room -= length
    return "\n".join(_written(line) for line in sorted(kept, key=lambda line: line.place))


def _old(summary: str) -> list[_Line]:
    lines = []
    for place, line in enumerate(filter(str.strip, summary.splitlines())):
        speaker, mark, text = line.strip().removeprefix("- ").partition(": ")
        known = mark and speaker in _SPEAKERS.values()
        lines.append(_Line(place, speaker if known else "", text if known else line.strip().removeprefix("- "), True))
    return lines


def _new(messages: Sequence[Message]) -> list[_Line]:
    lines: list[_Line] = []
    for message in messages:
        speaker = _SPEAKERS.get(message.role)
        if speaker is None:
            continue
        text = _MARKER.sub("", message.text)
        for part in (part for row in text.splitlines() for part in sentences(row.strip(" -*#>|"))):
            said = " ".join(part.split())[:SENTENCE_LIMIT]
            is_asked = speaker == "Desk" and said.endswith("?")  # the answer to it says more
            if len(said) > 2 and not is_asked and small_talk(said, "en") is None:
                lines.append(_Line(10_000 + len(lines), speaker, said, False))
    return lines


def _worth(line: _Line, often: Counter[str], total: int) -> float:
    content = list(_content(line.text))
    facts = min(len(_FACT.findall(line.text)), 4)
    central = sum(min(often[word], 4) - 1 for word in set(content)) / (1 + len(set(content)))
    age = -0.3 if line.is_old else 0.5 * (line.place - 10_000 + 1) / (total + 1)
    return 0.7 * facts + central + age + 0.5 * (line.speaker == "Contact") + 0.1 * min(len(content), 5)


def _content(text: str) -> list[str]:
    return [stem(word.text) for word in words(fold(text)) if word.text not in FILLERS and len(word.text) > 2]


def _written(line: _Line) -> str:
    return f"- {line.speaker}: {line.text}" if line.speaker else f"- {line.text}"
