"""HTML to text: a walk over the tree that the browser would build, without what no reader reads."""

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

from frontdesk.knowledge.extracts import ExtractWriter, NestedTooDeep, in_one_line

# The parser's time grows with the square of the depth (100,000 levels take 16 s), so deeper pages are refused unparsed.
MAX_DEPTH = 5000

_UNREAD = frozenset({
    "head", "script", "style", "template", "noscript", "nav", "svg", "math", "iframe", "object", "canvas", "audio",
    "video", "select", "option", "input", "textarea", "dialog",
})  # fmt: skip
_BLOCKS = frozenset({
    "address", "article", "aside", "blockquote", "body", "caption", "dd", "details", "div", "dl", "dt", "fieldset",
    "figcaption", "figure", "footer", "form", "header", "hr", "legend", "li", "main", "ol", "p", "pre", "section",
    "summary", "table", "tbody", "tfoot", "thead", "tr", "ul",
})  # fmt: skip
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)")
# Never inside each other without an element that is counted between them, so they say nothing about depth.
_FLAT = frozenset({
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr", "html",
    "head", "body", "p", "tr", "td", "th", "thead", "tbody", "tfoot", "colgroup",
})  # fmt: skip
_ITEMS = {"li": "li", "dd": "dl", "dt": "dl"}  # each ends the one before it, and its list's end ends it
_LISTS = frozenset({"ul", "ol", "dl"})


def write_html(writer: ExtractWriter, markup: str) -> None:
    """Writes title, headings and blocks. Only `<main>` is read where there is one. Raises NestedTooDeep."""
    _check_depth(markup)
    tree = LexborHTMLParser(markup)
    title = tree.css_first("head > title")
    if title is not None:
        writer.title(title.text())
    root = tree.css_first("main") or tree.body
    if root is not None:
        _Walk(writer).over(root)


def _check_depth(markup: str) -> None:
    """Counts what stays open when only the innermost element can be closed: not less than the tree's depth."""
    open_tags: list[str] = []
    for end, name in _TAG.findall(markup):
        tag = name.lower()
        if tag in _FLAT:
            continue
        last = open_tags[-1] if open_tags else ""
        if not end:
            if tag in _ITEMS and _ITEMS[tag] == _ITEMS.get(last):
                open_tags.pop()
            open_tags.append(tag)
            if len(open_tags) > MAX_DEPTH:
                raise NestedTooDeep(MAX_DEPTH)
            continue
        if tag in _LISTS and last in _ITEMS:
            open_tags.pop()
        if open_tags and open_tags[-1] == tag:
            open_tags.pop()


class _Walk:
    """Without recursion, so that depth costs nothing."""

    def __init__(self, writer: ExtractWriter) -> None:
        self._writer = writer
        self._line: list[str] = []  # of the block that is being read
        self._marker = ""  # of the list item whose first line comes next
        self._counters: list[int | None] = []  # of the open lists: the last number, None for bullets
        self._tight = False
        self._verbatim = 0  # open <pre>

    def over(self, root: LexborNode) -> None:
        node = root
        while True:
            is_read = self._enters(node)
            child = node.first_child if is_read else None
            if child is not None:
                node = child
                continue
            if is_read:
                self._leave(node)
            while node.mem_id != root.mem_id and node.next is None:
                parent = node.parent
                if parent is None:
                    break
                node = parent
                self._leave(node)
            if node.mem_id == root.mem_id or node.next is None:
                break
            node = node.next
        self._end_block()

    def _enters(self, node: LexborNode) -> bool:
        """Takes what stands at its start; whether its children are read."""
        if node.is_text_node:
            self._line.append(node.text_content or "")
            return False
        tag = node.tag or ""
        if tag in _UNREAD or node.is_comment_node or _is_hidden(node):
            return False
        if tag in _BLOCKS or tag in _HEADINGS:
            self._end_block()
        if tag == "br":
            self._line.append("\n" if self._verbatim else "\0")
        elif tag == "pre":
            self._verbatim += 1
        elif tag in ("ul", "ol"):
            self._counters.append(0 if tag == "ol" else None)
        elif tag == "li":
            self._marker = self._next_marker()
        elif tag == "img":
            self._line.append(node.attributes.get("alt") or "")
        return True

    def _leave(self, node: LexborNode) -> None:
        tag = node.tag or ""
        if tag in _HEADINGS:
            text, self._line = "".join(self._line).replace("\0", " "), []
            self._writer.heading(_HEADINGS[tag], text)
        elif tag in ("td", "th"):
            self._line.append(" | ")
        elif tag == "tr":
            self._end_block(row=True)
        elif tag in _BLOCKS:
            self._end_block()
        if tag == "pre":
            self._verbatim -= 1
        elif tag in ("ul", "ol"):
            self._counters.pop()
            self._tight = bool(self._counters)
        elif tag == "table":
            self._tight = False
        elif tag == "li":
            self._marker = ""

    def _end_block(self, *, row: bool = False) -> None:
        text, self._line = "".join(self._line), []
        if not self._verbatim:
            text = "\n".join(in_one_line(line) for line in text.split("\0")).strip("\n")
        if row:
            text = text.removesuffix("|").rstrip()
        if not text.strip():
            return
        # Items and rows stand under each other; the first of them is set off.
        is_listed = row or bool(self._marker)
        self._writer.block(self._marker + text, tight=is_listed and self._tight)
        self._tight = is_listed
        self._marker = ""

    def _next_marker(self) -> str:
        indent = "  " * max(0, len(self._counters) - 1)
        if not self._counters or (number := self._counters[-1]) is None:
            return f"{indent}- "
        self._counters[-1] = number + 1
        return f"{indent}{number + 1}. "


def _is_hidden(node: LexborNode) -> bool:
    attributes = node.attributes
    return "hidden" in attributes or attributes.get("aria-hidden") == "true"
