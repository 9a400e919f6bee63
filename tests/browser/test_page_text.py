"""Text that nobody vouches for, as the page shows it: Markdown, HTML, event streams."""

import asyncio
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.async_api import Browser, Page, expect
from scripted_desk import ScriptedDesk

ALLOWED = {
    *("a", "blockquote", "br", "button", "code", "div", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre"),
    *("s", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"),
}
HOSTILE = [
    "<script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 1'>",
    "<svg onload=window.hacked=1>",
    "[x](javascript:window.hacked=1)",
    "[x](JaVaScRiPt&colon;window.hacked=1)",
    "[x](java\tscript:window.hacked=1)",
    "[x](data:text/html,<script>window.hacked=1</script>)",
    "[x](vbscript:x) [x](file:///etc/passwd) [x](//evil.example) [x](/api/clinic/page)",
    "<javascript:window.hacked=1>",
    "![x](https://evil.example/pixel.png)",
    '[x](https://a.example" onmouseover="window.hacked=1)',
    "`<b>`\n\n```html\n</code></pre><script>window.hacked=1</script>\n```",
    "| <b>a</b> | b |\n|---|---|\n| <i onclick=window.hacked=1>c</i> | [d](javascript:1) |",
    "&lt;script&gt;",
]
RENDER = """async (texts) => {
    const { markdown } = await import("/static/lib/markdown.js");
    const { h, render } = await import("/static/vendor/preact-htm.js");
    return texts.map((text) => {
        const root = document.createElement("div");
        const began = performance.now();
        render(h("div", null, ...markdown(text, (n) => (n <= 2 ? h("button", null, n) : null))), root);
        const elements = [...root.querySelectorAll("*")];
        return {
            html: root.firstChild.innerHTML,
            text: root.textContent,
            ms: performance.now() - began,
            tags: [...new Set(elements.map((e) => e.localName))],
            attributes: [...new Set(elements.flatMap((e) => e.getAttributeNames()))],
            links: elements.filter((e) => e.localName === "a").map((e) => [e.href, e.rel]),
        };
    });
}"""


async def rendered(sheet: Page, *texts: str) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = await sheet.evaluate(RENDER, list(texts))
    return results


async def test_hostile_text_in_an_answer_stays_text(page: Page, desk: ScriptedDesk) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    await page.goto(desk.url)
    await page.fill("#message", "<img src=x onerror=window.hacked=1>")
    await page.keyboard.press("Enter")
    asked = await desk.next("POST chat")
    await asked.accepted(1)
    text = "\n\n".join(HOSTILE)
    await asked.event("status", {"text": HOSTILE[1], "agent": HOSTILE[1]})
    await asked.event("delta", {"text": text})
    await expect(page.locator(".writing")).to_contain_text("window.hacked")
    citation = {"document": HOSTILE[1], "title": HOSTILE[1], "passage_id": "../../page", "start": 0, "end": 1}
    needs = [{"parameter": "x", "question": HOSTILE[0], "options": [HOSTILE[1]]}]
    await asked.answer(2, text, agents=[HOSTILE[1]], needs=needs, citations=[citation | {"quote": HOSTILE[0]}])
    await expect(page.locator(".text:not(.writing)")).to_contain_text("<script>window.hacked = 1</script>")
    await page.locator(".sources button").click()
    await expect(page.get_by_role("dialog").locator("blockquote")).to_have_text(HOSTILE[0])
    assert await page.evaluate("window.hacked") is None
    assert [url for url in requests if not url.startswith(desk.url)] == []
    assert await page.locator("#page img, #page script, #page iframe").count() == 0


async def test_hostile_markdown_gives_only_known_elements_and_safe_links(sheet: Page) -> None:
    for result in await rendered(sheet, *HOSTILE):
        assert_harmless(result)


def assert_harmless(result: dict[str, Any]) -> None:
    assert set(result["tags"]) <= ALLOWED
    assert set(result["attributes"]) <= {"dir", "href", "target", "rel", "start", "tabindex", "class"}
    for href, rel in result["links"]:
        assert href.startswith(("http://", "https://", "mailto:"))
        assert rel.startswith("noopener")


INLINE = [
    "*",
    "**",
    "_",
    "__",
    "~~",
    "`",
    "[",
    "](",
    ")",
    "![",
    "<",
    ">",
    "\\",
    "[1]",
    "[9]",
    "https://a.example",
    "a@b.example",
]
BLOCK = ["\n", "\n\n", "- ", "1. ", "# ", "> ", "    ", "```", "|", "|---|---|"]
PLAIN = [" ", "word", "é", "ش", "😀", "javascript:", "<b onclick=x>"]
marks = st.sampled_from([*INLINE, *BLOCK, *PLAIN])


@settings(max_examples=15)
@given(texts=st.lists(st.lists(marks, max_size=40).map("".join) | st.text(max_size=60), min_size=20, max_size=20))
async def test_whatever_the_markdown_it_stays_harmless(sheet: Page, texts: list[str]) -> None:
    for result in await rendered(sheet, *(text.encode(errors="replace").decode() for text in texts)):
        assert_harmless(result)


@pytest.mark.parametrize(
    "text",
    [
        *("[" * 20_000, "](" * 10_000, "[a](" * 8_000, "https://" * 5_000, "a@" * 10_000),
        *("*a " * 10_000, "**a" * 10_000, "_" * 20_000, "`" * 9_999 + "a", "~~~\n" * 8_000),
        *("> " * 10_000, "- " * 10_000, "1. a\n" * 5_000, " - a\n" + "  - b\n" * 5_000),
        "| " * 10_000 + "\n" + " " * 20_000,
    ],
)
async def test_no_text_holds_the_page_up(sheet: Page, text: str) -> None:
    async with asyncio.timeout(10):  # a bound that only a runaway search can reach
        await rendered(sheet, text)


@pytest.mark.parametrize(
    ("text", "html"),
    [
        (
            "a **b** *c* ~~d~~ `e*f*`",
            '<p dir="auto">a <strong>b</strong> <em>c</em> <s>d</s> <code dir="ltr">e*f*</code></p>',
        ),
        ("one\ntwo", '<p dir="auto">one<br>two</p>'),
        ("snake_case_name and 2 * 3 * 4", '<p dir="auto">snake_case_name and 2 * 3 * 4</p>'),
        ("**bold *both* bold**", '<p dir="auto"><strong>bold <em>both</em> bold</strong></p>'),
        ("- a\n- b\n  - c", '<ul><li dir="auto">a</li><li dir="auto">b<ul><li dir="auto">c</li></ul></li></ul>'),
        ("- a\n  goes on\n- b", '<ul><li dir="auto">a goes on</li><li dir="auto">b</li></ul>'),
        ("3. a\n4. b", '<ol start="3"><li dir="auto">a</li><li dir="auto">b</li></ol>'),
        ("# Title\ntext", '<h3 dir="auto">Title</h3><p dir="auto">text</p>'),
        ("> quoted", '<blockquote dir="auto"><p dir="auto">quoted</p></blockquote>'),
        ("yes [1][2] no [3]", '<p dir="auto">yes <button>1</button><button>2</button> no [3]</p>'),
        ("a \\*b\\*", '<p dir="auto">a *b*</p>'),
        ("14:00 - 19:30", '<p dir="auto">14:00 - 19:30</p>'),
    ],
)
async def test_markdown_becomes_what_its_writer_meant(sheet: Page, text: str, html: str) -> None:
    assert (await rendered(sheet, text))[0]["html"] == html


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("[site](https://a.example/x_(y))", ["https://a.example/x_(y)"]),
        ("See https://a.example/b, or (https://c.example).", ["https://a.example/b", "https://c.example/"]),
        ("Write to front.desk@a.example.", ["mailto:front.desk@a.example"]),
        ("<https://a.example>", ["https://a.example/"]),
        ("[mail](mailto:a@b.example)", ["mailto:a@b.example"]),
        ("[call](tel:112) [here](/admin)", []),
    ],
)
async def test_links_lead_where_they_say(sheet: Page, text: str, links: list[str]) -> None:
    assert [href for href, _ in (await rendered(sheet, text))[0]["links"]] == links


DIAL = """async (texts) => {
    const { dialable } = await import("/static/lib/phones.js");
    const { markdown } = await import("/static/lib/markdown.js");
    const { h, render } = await import("/static/vendor/preact-htm.js");
    const shown = (content) => {
        const root = document.createElement("div");
        render(h("div", null, ...content), root);
        return root;
    };
    return texts.map((text) => {
        const root = shown(dialable(markdown(text)));
        const numbers = [...root.querySelectorAll("a.call")].map((link) => [link.textContent, link.href]);
        return [shown(markdown(text)).textContent, root.textContent, numbers];
    });
}"""


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("**Call 112 now**, or 116 123.", [("112", "tel:112"), ("116 123", "tel:116123")]),
        ("- Reception: 020 912 0100", [("020 912 0100", "tel:0209120100")]),
        ("Dial +353 1 234 5678 (free)", [("+353 1 234 5678", "tel:+35312345678")]),
        ("24 hours, 08:00–18:00, 1.500 steps, €250, 100%, 50–100, in 1999.5", []),
        ("`112` and [112](https://a.example)", []),
        ("A112, 112a, 1,234", []),
    ],
)
async def test_numbers_to_call_are_told_from_other_numbers(
    sheet: Page, text: str, numbers: list[tuple[str, str]]
) -> None:
    [(_, _, found)] = await sheet.evaluate(DIAL, [text])
    assert [tuple(pair) for pair in found] == numbers


@given(
    texts=st.lists(
        st.lists(marks | st.from_regex(r"\+?[0-9 ]{1,12}", fullmatch=True), max_size=20).map("".join),
        min_size=20,
        max_size=20,
    )
)
@settings(max_examples=5)
async def test_only_digits_are_ever_called_and_no_text_is_lost(sheet: Page, texts: list[str]) -> None:
    for plain, dialable, numbers in await sheet.evaluate(DIAL, texts):
        assert dialable == plain
        assert all(re.fullmatch(r"tel:\+?[0-9]{3,15}", href) for _, href in numbers)


PARSE = """async (cases) => {
    const { EventParser } = await import("/static/lib/live.js");
    return cases.map((pieces) => {
        const parser = new EventParser();
        return pieces.flatMap((piece) => parser.feed(piece));
    });
}"""
STREAM = (
    ": heartbeat\r\n\r\nid: 1\nevent: delta\ndata: {\ndata: }\n\n"
    "data:no space\r\rid: 2\r\nevent: answer\r\ndata: é😀\r\n\r\nevent: lost\ndata: cut off"
)
EVENTS = [
    {"id": "1", "type": "delta", "data": "{\n}"},
    {"id": "1", "type": "message", "data": "no space"},
    {"id": "2", "type": "answer", "data": "é😀"},
]


@settings(max_examples=10)
@given(cuts=st.lists(st.sets(st.integers(0, len(STREAM))), min_size=20, max_size=20))
async def test_an_event_stream_reads_the_same_however_it_is_cut(sheet: Page, cuts: list[set[int]]) -> None:
    cases = [
        [STREAM[a:b] for a, b in zip([0, *sorted(places)], [*sorted(places), len(STREAM)], strict=True)]
        for places in cuts
    ]
    assert await sheet.evaluate(PARSE, cases) == [EVENTS] * len(cases)


async def test_without_storage_the_page_still_works(browser: Browser, desk: ScriptedDesk) -> None:
    context = await browser.new_context(locale="en-US")
    await context.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('', 'SecurityError') }})"
    )
    page = await context.new_page()
    await page.goto(desk.url)
    await page.fill("#message", "Hello")
    await page.keyboard.press("Enter")
    asked = await desk.next("POST chat")
    await asked.accepted(1)
    await asked.answer(2, "Hi.")
    await expect(page.locator(".desk .text")).to_have_text("Hi.")
    await page.fill("#message", "And?")
    await page.keyboard.press("Enter")
    assert (await desk.next("POST chat")).body["session_id"] == asked.body["session_id"]
    await context.close()


async def test_damaged_storage_is_no_obstacle(page: Page, desk: ScriptedDesk) -> None:
    damaged = {"session": "../x", "user": "", "unsent": json.dumps([{"key": 1}, None, "x"]), "draft": "kept"}
    await page.goto(desk.url)
    for name, value in damaged.items():
        await page.evaluate("([k, v]) => localStorage.setItem(`frontdesk.clinic.${k}`, v)", [name, value])
    await page.reload()
    await expect(page.locator("#message")).to_have_value("kept")
    await page.locator("#message").press("Enter")
    assert len((await desk.next("POST chat")).body["session_id"]) == 36
