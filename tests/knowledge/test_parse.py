"""Bytes to text: what reads well, what is refused, and what hostile input can't do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.knowledge.extracts import MAX_QUESTIONS
from frontdesk.knowledge.models import Extract, Source
from frontdesk.knowledge.parse import MAX_BYTES, DocumentRefused, parse

MARKDOWN = r"""---
title: "Getting here"
tags: [travel]
---
# Getting *here*

By bus: lines **4** and [12](https://example.org/12 "timetable"), or
on foot.\
Mind the `kerb` &amp; the steps. <br>Bring <b>water</b>.

## Parking

1. Level 1: staff
2. Level 2: visitors
   - short stay
   - long stay

> Never park on the ambulance's lane.

| Level | Price |
|-------|-------|
| 1     | free  |
| 2     | $3    |

```
gate code: ask at the desk
```

<div>Open <em>all</em> day<script>alert(1)</script></div>

![Map of the site](map.png)

Setext
------

Last ~~line~~.
"""
MARKDOWN_TEXT = """Getting here

By bus: lines 4 and 12, or on foot.
Mind the kerb & the steps.
Bring water.

Parking

1. Level 1: staff
2. Level 2: visitors
  - short stay
  - long stay

Never park on the ambulance's lane.

Level | Price
1 | free
2 | $3

gate code: ask at the desk

Open all day

Map of the site

Setext

Last line."""

HTML = """<!DOCTYPE html><html><head><title> Our
 prices </title><style>p{}</style></head><body><header><nav><a href=/>Home</a></nav></header>
<main><h1>Prices &amp; plans</h1><p>A visit costs <b>$40</b>,<br>a check-up $90.<!-- old --></p>
<ul><li>Cash<li><p>Card</p><ul><li>Visa<li>Amex</ul></ul><p hidden>Not yet</p>
<h2>Table</h2><table><tr><th>Plan<th>Price<tr><td>Basic<td>$5</table>
<pre>keep
  this</pre><div>Ask <span>the</span> desk.</div></main><footer>© Clinic</footer></body></html>"""
HTML_TEXT = """Prices & plans

A visit costs $40,
a check-up $90.

- Cash
- Card
  - Visa
  - Amex

Table

Plan | Price
Basic | $5

keep
  this

Ask the desk."""


def extract(name: str, content: str | bytes) -> Extract:
    return parse(Source(name, content if isinstance(content, bytes) else content.encode()))


def headings(found: Extract) -> list[tuple[int, str]]:
    return [(heading.level, found.text[heading.start : heading.end]) for heading in found.headings]


def test_markdown_becomes_text_that_reads_well() -> None:
    found = extract("travel/here.md", MARKDOWN)
    assert found.text == MARKDOWN_TEXT
    assert (found.title, found.media_type) == ("Getting here", "text/markdown")
    assert headings(found) == [(1, "Getting here"), (2, "Parking"), (2, "Setext")]


def test_html_becomes_text_that_reads_well() -> None:
    found = extract("prices.html", HTML)
    assert found.text == HTML_TEXT
    assert (found.title, found.media_type) == ("Our prices", "text/html")
    assert headings(found) == [(1, "Prices & plans"), (2, "Table")]


def test_a_page_without_main_is_read_whole_but_for_its_navigation() -> None:
    found = extract("a.htm", "<nav>Home</nav><h1>Hours</h1>Nine to five.<footer>© Clinic</footer>")
    assert found.text == "Hours\n\nNine to five.\n\n© Clinic"


def test_text_stays_as_it_is_but_for_superfluous_space() -> None:
    found = extract("notes/opening_hours.txt", "\ufeffOpen <daily>  \r\n\r\n\r\n\r\n  from *nine*\r\n")
    assert found.text == "Open <daily>\n\n  from *nine*"
    assert (found.title, found.media_type, found.headings) == ("Opening hours", "text/plain", ())


def test_the_title_is_the_highest_heading_where_there_is_no_other() -> None:
    assert extract("a.md", "## Second\n\n# First\n\ntext").title == "First"
    assert extract("how-to-pay.md", "just text").title == "How to pay"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_is_read_by_its_mark(encoding: str) -> None:
    assert extract("a.txt", "Öffnungszeiten 时间 🩺".encode(encoding)).text == "Öffnungszeiten 时间 🩺"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.md", b"", "is empty"),
        ("a.md", b" \n\t ", "is empty"),
        ("a.html", b"<html><body><script>x</script><!-- y --></body></html>", "holds no text"),
        ("a.md", b"[ref]: http://example.org\n", "holds no text"),
        ("a.txt", b"\xef\xbb\xbf", "is empty|holds no text"),
        ("a.txt", b"x" * (MAX_BYTES + 1), "larger than 5 MiB"),
        ("a.md", b"# a\n" * 200_001, "more than 200,000 lines"),
        ("a.md", b"%PDF-1.7 text", "a PDF by its content, not .md"),
        ("a.html", b"PK\x03\x04 word/document.xml", "Office document"),
        ("a.txt", b"\x89PNG\r\n", "a PNG image"),
        ("a.txt", b"text\x00\x01\x02more", "binary"),
        ("a.txt", bytes(range(1, 32)) * 10, "binary"),
        ("a.txt", "Öffnung".encode("latin-1"), r"not UTF-8 \(byte 0\)"),
        ("a.md", b"<!DOCTYPE html><p>Hello", "ends in .html"),
        ("a.txt", b"\n<!-- x --> <HTML><p>Hello", "ends in .html"),
        ("a.pdf", b"text", r"not read \(\.pdf\); accepted are \.md, "),
        ("README", b"text", r"\(no suffix\)"),
        ("", b"text", "name must be"),
        ("a\x00.md", b"text", "name must be"),
        ("a" * 400 + ".md", b"text", "name must be"),
        ("a.html", b"<div>" * 10_000 + b"x", "never closed"),
        ("a.html", b"<dd><li>" * 10_000 + b"x", "never closed"),
        ("a.html", b"<div><table></div></table>" * 10_000 + b"x", "never closed"),
        ("a.md", b"<div>" * 10_000 + b"x", "never closed"),
        ("a.md", b">" * 50_000 + b" end", "100 levels deep"),
        ("a.md", "".join("  " * depth + "- a\n" for depth in range(200)).encode(), "100 levels deep"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_the_reason(name: str, content: bytes, reason: str) -> None:
    with pytest.raises(DocumentRefused, match=reason):
        extract(name, content)


@pytest.mark.parametrize(
    "content",
    [
        "".join("  " * depth + "- a\n" for depth in range(40)) + "\nend",
        "[" * 50_000 + " end",
        ("*a **b " * 2800 + "\n\n") * 4 + "end",
        "`" * 9_999 + "``a" * 3000 + "\n\nend",
        "![[a](" * 3000 + " end",
        "<a " * 6000 + " end",
        "\\" * 50_000 + " end",
        "&amp" * 5000 + " end",
        "|" * 20_000 + "\n" + "|-" * 10_000 + "|\nend",
    ],
)
def test_hostile_markdown_is_read_and_keeps_its_words(content: str) -> None:
    assert "end" in extract("a.md", content).text


@pytest.mark.parametrize(
    "content",
    [
        "<ul>" + "<li>item" * 20_000 + "</ul>end",
        ("<ul><li>a<li>b</ul>" * 6000) + "end",
        "<p>a" * 20_000 + "end",
        "<div>" * 4000 + "end",
        "<b><i>x</b></i>" * 1500 + "end",
        "&" * 50_000 + "end",
        "<table>" * 2000 + "end",
        "<a href='" + "x" * 100_000 + "'>end</a>",
    ],
)
def test_unusual_html_is_read_and_keeps_its_words(content: str) -> None:
    assert "end" in extract("a.html", content).text


@given(st.text(max_size=300), st.sampled_from([".md", ".html", ".txt"]))
def test_any_text_is_read_or_refused_and_headings_lie_in_the_text(content: str, suffix: str) -> None:
    try:
        found = extract(f"a{suffix}", content.encode("utf-8", "surrogatepass"))
    except DocumentRefused:
        return
    assert "\x00" not in found.text
    assert found.text.strip()
    ends = [0]
    for heading in found.headings:
        assert ends[-1] <= heading.start < heading.end <= len(found.text)
        assert "\n" not in found.text[heading.start : heading.end]
        ends.append(heading.end)


@given(st.binary(max_size=200), st.sampled_from([".md", ".html", ".txt", ".pdf"]))
def test_any_bytes_are_read_or_refused(content: bytes, suffix: str) -> None:
    try:
        assert extract(f"a{suffix}", content).text
    except DocumentRefused as error:
        assert error.detail.endswith(".")


@pytest.mark.parametrize(
    ("front", "questions"),
    [
        (
            "title: Hours\nquestions:\n  - When do you open?\n  - 'Ab wann?'\nauthor: Ann",
            ("When do you open?", "Ab wann?"),
        ),
        ("Questions:\n- one\n-   \n- two", ("one", "two")),
        ("questions: none", ()),
        ("questions:\ntags:\n  - a", ()),
        ("questions:\n" + "- again\n" * 200, ("again",) * MAX_QUESTIONS),
    ],
)
def test_front_matter_names_questions_that_stay_out_of_the_text(front: str, questions: tuple[str, ...]) -> None:
    extract = parse(Source("hours.md", f"---\n{front}\n---\n# Hours\n\nNine to five.".encode()))
    assert extract.questions == questions
    assert extract.text == "Hours\n\nNine to five."
