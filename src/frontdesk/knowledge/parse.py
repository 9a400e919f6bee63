"""Bytes of a document to text without markup, its title and its headings. Whatever comes in is untrusted."""

import codecs
import re
from pathlib import PurePosixPath

from frontdesk.core.errors import Invalid
from frontdesk.knowledge.extracts import ExtractWriter, NestedTooDeep
from frontdesk.knowledge.html import write_html
from frontdesk.knowledge.markdown import write_markdown
from frontdesk.knowledge.models import Extract, Source

MAX_BYTES = 5 * 1024 * 1024
MAX_NAME = 300
# Of Markdown: each may be a block, and a block costs some 1.5 kB and 35 µs.
MAX_LINES = 200_000

MEDIA_TYPES = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".html": "text/html",
    ".htm": "text/html",
    ".txt": "text/plain",
    ".text": "text/plain",
}

# The first bytes of what is often given a wrong name.
_SIGNATURES = {
    b"%PDF-": "a PDF",
    b"PK\x03\x04": "a ZIP archive or an Office document",
    b"\xd0\xcf\x11\xe0": "an old Office document",
    b"{\\rtf": "an RTF document",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"\x1f\x8b": "a gzip archive",
    b"\x7fELF": "a program",
}
# UTF-32 first: its mark starts with UTF-16's.
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")  # but for white space
_NEWLINES = re.compile(r"\r\n?|\f|\v|\u2028|\u2029")
_HTML_PAGE = re.compile(r"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html[\s>])", re.IGNORECASE | re.DOTALL)


class DocumentRefused(Invalid):
    """A document that can't be taken; the sentence says why and what is accepted."""

    error_code = "DOCUMENT_REFUSED"


def parse(source: Source) -> Extract:
    """CPU work, linear in the size: call it in a thread. Raises DocumentRefused."""
    media_type = _media_type(source)
    text = _decoded(source)
    is_page = _HTML_PAGE.match(text) is not None
    if is_page and media_type != "text/html":
        raise DocumentRefused(f"{source.name} is an HTML page by its content: give it a name that ends in .html.")
    writer = ExtractWriter()
    try:
        if media_type == "text/html":
            write_html(writer, text)
        elif media_type == "text/markdown":
            if text.count("\n") > MAX_LINES:
                raise DocumentRefused(
                    f"{source.name} has more than {MAX_LINES:,} lines; split it into several documents."
                )
            write_markdown(writer, text)
        else:
            writer.plain(text)
    except NestedTooDeep as error:
        raise DocumentRefused(
            f"{source.name} is nested more than {error.limit} levels deep, "
            "or has as many elements that are never closed."
        ) from error
    extract = writer.extract(_title_of(source.name), media_type)
    if not extract.text:
        raise DocumentRefused(f"{source.name} holds no text.")
    return extract


def _media_type(source: Source) -> str:
    if not source.name.strip() or len(source.name) > MAX_NAME or not source.name.isprintable():
        raise DocumentRefused(f"A document's name must be 1 to {MAX_NAME} printable characters.")
    media_type = MEDIA_TYPES.get(source.suffix)
    if media_type is None:
        raise DocumentRefused(
            f"{source.name} is of a type that is not read ({source.suffix or 'no suffix'}); "
            f"accepted are {', '.join(MEDIA_TYPES)}."
        )
    return media_type


def _decoded(source: Source) -> str:
    name, content = source.name, source.content
    if len(content) > MAX_BYTES:
        raise DocumentRefused(f"{name} is larger than {MAX_BYTES >> 20} MiB; split it into several documents.")
    if not content.strip():
        raise DocumentRefused(f"{name} is empty.")
    for signature, what in _SIGNATURES.items():
        if content.startswith(signature):
            raise DocumentRefused(f"{name} is {what} by its content, not {source.suffix}.")
    mark = next((mark for mark in _MARKS if content.startswith(mark)), b"")
    if not mark and b"\x00" in content:
        raise DocumentRefused(f"{name} is binary, not text.")
    try:
        text = content[len(mark) :].decode(_MARKS.get(mark, "utf-8"))
    except UnicodeDecodeError as error:
        raise DocumentRefused(
            f"{name} is not UTF-8 (byte {error.start + len(mark)}); save it as UTF-8, or as UTF-16 with its mark."
        ) from error
    controls = len(_CONTROLS.findall(text))
    if controls > 8 and controls > len(text) // 100:
        raise DocumentRefused(f"{name} is binary, not text.")
    return _NEWLINES.sub("\n", _CONTROLS.sub("", text))


def _title_of(name: str) -> str:
    """`guides/visiting-hours.md` -> `Visiting hours`."""
    stem = re.sub(r"[-_\s]+", " ", PurePosixPath(name).stem).strip()
    return stem[:1].upper() + stem[1:]
