"""Markdown (CommonMark with tables and strikethrough) to text."""

import re

from markdown_it import MarkdownIt
from markdown_it.token import Token

from frontdesk.knowledge.extracts import ExtractWriter, NestedTooDeep
from frontdesk.knowledge.html import write_html

# Emphasis and links are matched in quadratic time, so a longer paragraph keeps its markup.
MAX_INLINE = 5_000
# Of lists and quotes; what is deeper the parser would drop without a word.
MAX_DEPTH = 100

_FRONT_MATTER = re.compile(r"\A---[^\S\n]*\n(.*?)\n(?:---|\.\.\.)[^\S\n]*(?:\n|\Z)", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:[^\S\n]*(.+?)[^\S\n]*$", re.MULTILINE | re.IGNORECASE)
_FRONT_QUESTIONS = re.compile(r"^questions:[^\S\n]*\n((?:[^\S\n]*-[^\S\n].*(?:\n|\Z))+)", re.MULTILINE | re.IGNORECASE)
_LINE_END = re.compile(r" +\n")
_LINE_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)


def write_markdown(writer: ExtractWriter, markup: str) -> None:
    """Writes the front matter's title and questions, headings and blocks.

    Raises NestedTooDeep (of lists, quotes, or HTML in it).
    """
    front = _FRONT_MATTER.match(markup)
    if front:
        title = _FRONT_TITLE.search(front[1])
        if title:
            writer.title(title[1].strip("\"'"))
        questions = _FRONT_QUESTIONS.search(front[1])
        for line in questions[1].splitlines() if questions else ():
            writer.question(line.strip().removeprefix("-").strip().strip("\"'"))
        markup = markup[front.end() :]
    _Blocks(writer).write(markup)


class _Blocks:
    def __init__(self, writer: ExtractWriter) -> None:
        self._writer = writer
        self._markdown = MarkdownIt("commonmark", {"maxNesting": MAX_DEPTH}).enable(["table", "strikethrough"])
        self._markdown.core.ruler.disable("inline")  # called for each block below, within MAX_INLINE
        self._references: dict[str, object] = {}
        self._counters: list[int | None] = []  # of the open lists: the last number, None for bullets
        self._marker = ""  # of the list item whose first line comes next
        self._row: list[str] | None = None
        self._tight = False

    def write(self, markup: str) -> None:
        tokens = self._markdown.parse(markup, self._references)
        if any(token.level >= MAX_DEPTH - 1 for token in tokens):
            raise NestedTooDeep(MAX_DEPTH)
        for place, token in enumerate(tokens):
            match token.type:
                case "inline":
                    self._inline(token, tokens[place - 1])
                case "fence" | "code_block":
                    self._block(token.content)
                case "html_block":
                    write_html(self._writer, token.content)
                case "bullet_list_open":
                    self._counters.append(None)
                case "ordered_list_open":
                    self._counters.append(int(token.attrs.get("start", 1)) - 1)
                case "bullet_list_close" | "ordered_list_close":
                    self._counters.pop()
                    self._tight = bool(self._counters)
                case "list_item_open":
                    self._marker = self._next_marker()
                case "list_item_close":
                    self._marker = ""
                case "table_open" | "table_close":
                    self._tight = False
                case "tr_open":
                    self._row = []
                case "tr_close":
                    self._block(" | ".join(self._row or []), listed=True)
                    self._row = None

    def _inline(self, token: Token, before: Token) -> None:
        text = self._text_of(token)
        if before.type == "heading_open":
            self._writer.heading(int(before.tag[1:]), text)
            self._tight = False
        elif self._row is not None:
            self._row.append(text.replace("\n", " "))
        else:
            self._block(text)

    def _block(self, text: str, *, listed: bool = False) -> None:
        # Items and rows stand under each other; the first of them is set off.
        listed = listed or bool(self._marker)
        self._writer.block(self._marker + text, tight=listed and self._tight)
        self._tight = listed
        self._marker = ""

    def _next_marker(self) -> str:
        indent = "  " * (len(self._counters) - 1)
        number = self._counters[-1]
        if number is None:
            return f"{indent}- "
        self._counters[-1] = number + 1
        return f"{indent}{number + 1}. "

    def _text_of(self, token: Token) -> str:
        if len(token.content) > MAX_INLINE:
            return token.content
        children: list[Token] = []
        self._markdown.inline.parse(token.content, self._markdown, self._references, children)
        return _LINE_END.sub("\n", "".join(_inline_text(child) for child in children))


def _inline_text(token: Token) -> str:
    match token.type:
        case "text" | "text_special" | "code_inline" | "image":
            return token.content
        case "softbreak":
            return " "
        case "hardbreak":
            return "\n"
        case "html_inline":
            return "\n" if _LINE_BREAK.fullmatch(token.content) else ""
    return ""  # emphasis and links: their text is tokens of its own
