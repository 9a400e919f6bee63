"""Where parsers write what they find; it keeps the offsets."""

import re

from frontdesk.knowledge.models import Extract, Heading

MAX_TITLE = 200
MAX_QUESTIONS = 100

_SPACE = re.compile(r"\s+")
_TRAILING = re.compile(r"[^\S\n]+\n")
_BLANK_LINES = re.compile(r"\n{3,}")


def in_one_line(text: str) -> str:
    return _SPACE.sub(" ", text).strip()


class NestedTooDeep(ValueError):
    def __init__(self, limit: int) -> None:
        super().__init__(f"nested more than {limit} levels deep")
        self.limit = limit


class ExtractWriter:
    """Blocks in document order, with a blank line between them, or (`tight`) a line break."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._headings: list[Heading] = []
        self._title = ""
        self._questions: list[str] = []

    def title(self, text: str) -> None:
        """The document's own title; the first one counts."""
        self._title = self._title or in_one_line(text)[:MAX_TITLE]

    def question(self, text: str) -> None:
        """One that the document says it answers; the first hundred count."""
        line = in_one_line(text)
        if line and len(self._questions) < MAX_QUESTIONS:
            self._questions.append(line)

    def heading(self, level: int, text: str) -> None:
        line = in_one_line(text)
        if line:
            start = self._write(line, tight=False)
            self._headings.append(Heading(level, start, start + len(line)))

    def block(self, text: str, *, tight: bool = False) -> None:
        text = text.strip("\n").rstrip()
        if text.strip():
            self._write(text, tight=tight)

    def plain(self, text: str) -> None:
        """A whole text file, as it is but for superfluous white space."""
        self.block(_BLANK_LINES.sub("\n\n", _TRAILING.sub("\n", text)))

    def extract(self, fallback_title: str, media_type: str) -> Extract:
        text = "".join(self._parts)
        title = self._title
        if not title and self._headings:
            first = min(self._headings, key=lambda heading: heading.level)  # the first of the highest level
            title = text[first.start : first.end][:MAX_TITLE]
        return Extract(title or fallback_title, text, tuple(self._headings), media_type, tuple(self._questions))

    def _write(self, text: str, *, tight: bool) -> int:
        if self._parts:
            separator = "\n" if tight else "\n\n"
            self._parts.append(separator)
            self._length += len(separator)
        start = self._length
        self._parts.append(text)
        self._length += len(text)
        return start
