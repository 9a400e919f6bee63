"""Whatever a model, a contact or the writer of a tenant's files writes: the page shows it, and it can do nothing there.

A real server, a real browser, and a tenant whose name, greeting, agents, documents and answers all want to run.
"""

import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hostile import QUESTION, RLO, TEXTS, make, says
from playwright.async_api import Page, expect
from tests.served import Served, serving
from tests.vendors.replies import Reply, ToolUse, VendorRequest
from tests.vendors.server import Vendor

ANSWER_MS = 30_000

# What runs, loads, frames, covers or sends, and where links lead: of the whole document, shadow and all.
HARMS = """() => {
    const all = [...document.querySelectorAll("*")];
    const own = location.origin;
    const leads = (e) => ["href", "src", "action", "formaction", "srcdoc", "data", "xlink:href", "poster", "srcset"]
        .filter((name) => e.hasAttribute(name))
        .map((name) => [name, e[name]?.baseVal ?? e[name] ?? e.getAttribute(name)]);
    const isFine = ([name, to]) => /^(https?|mailto|tel):/.test(to) && (name === "href" || to.startsWith(own));
    return [
        ...all.filter((e) => ["iframe", "object", "embed", "base", "form", "animate", "math", "style", "img", "meta"]
            .includes(e.localName) && !document.head.contains(e) && !e.matches("form.composer"))
            .map((e) => e.outerHTML.slice(0, 200)),
        ...all.flatMap((e) => e.getAttributeNames().filter((n) => n.startsWith("on"))),
        ...all.flatMap((e) => leads(e).filter((lead) => !isFine(lead)).map((lead) => `${e.localName} ${lead}`)),
        ...all.filter((e) => e.localName === "script" && !e.src.startsWith(own)).map((e) => e.outerHTML),
        ...all.filter((e) => e.localName === "a" && !e.href.startsWith(own) && e.target && !/noopener/.test(e.rel))
            .map((e) => e.outerHTML),
        ...(window.hacked === undefined ? [] : ["it ran"]),
    ];
}"""


# Texts that are read backwards though they hold nothing that says so.
TURNED = """(open) => {
    const texts = [];
    const walk = document.createTreeWalker(document.querySelector("#page"), NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) texts.push(walk.currentNode);
    return texts.filter((text) => text.parentElement.checkVisibility() && !text.data.includes(open)).filter((text) => {
        const word = /[a-z]{3,}/.exec(text.data);
        if (!word) return false;
        const at = (from) => {
            const range = document.createRange();
            range.setStart(text, from);
            range.setEnd(text, from + 1);
            return range.getBoundingClientRect();
        };
        const [first, second] = [at(word.index), at(word.index + 1)];
        return first.top === second.top && first.left > second.left;
    }).map((text) => text.data);
}"""


@pytest.fixture(scope="module")
async def hostile() -> AsyncIterator[Served]:
    def reply(request: VendorRequest) -> Reply:
        said = says(request.output_schema is not None, bool(request.results))
        return Reply(said) if said is not None else Reply(tool_calls=[ToolUse("find", {"query": "visiting hours"})])

    vendor = Vendor()
    vendor.responder = reply
    await vendor.start()
    with tempfile.TemporaryDirectory(prefix="frontdesk-hostile-") as folder:
        make(Path(folder) / "tenants" / "hostile")
        environment = {
            "FRONTDESK_TENANTS": str(Path(folder) / "tenants"), "OPENAI_API_KEY": "k",
            "OPENAI_BASE_URL": vendor.openai_url,
        }  # fmt: skip
        async with serving(Path(folder) / "data", environment) as served:
            yield served
    await vendor.stop()


@pytest.fixture
def abroad(page: Page, hostile: Served) -> list[str]:
    """Everything that the page asked of others, and every window and dialogue that opened."""
    found: list[str] = []
    page.on("request", lambda request: None if request.url.startswith(hostile.url) else found.append(request.url))
    page.on("popup", lambda popup: found.append(f"popup {popup.url}"))
    page.on("dialog", lambda dialog: found.append(f"dialogue {dialog.message}"))
    return found


async def asked(page: Page, hostile: Served) -> None:
    await page.goto(f"{hostile.url}/t/hostile")
    await page.fill("#message", QUESTION)
    await page.keyboard.press("Enter")
    await expect(page.locator(".desk[data-role]")).to_have_count(1, timeout=ANSWER_MS)
    await expect(page.locator("[aria-busy]")).to_have_count(0)


async def test_the_welcome_is_words(page: Page, hostile: Served, abroad: list[str]) -> None:
    await page.goto(f"{hostile.url}/t/hostile")
    await expect(page.get_by_text("window.hacked").first).to_be_visible()
    assert await page.evaluate(HARMS) == []
    assert abroad == []


async def test_a_conversation_is_words_while_it_is_written_and_after(
    page: Page, hostile: Served, abroad: list[str]
) -> None:
    await asked(page, hostile)
    for _ in ("written", "read again"):
        answer = page.locator(".desk[data-role]")
        for text in (TEXTS[0], TEXTS[3], TEXTS[6][:40]):
            await expect(answer).to_contain_text(text)
        await expect(page.locator(".bubble")).to_contain_text(TEXTS[1])
        assert await page.evaluate(HARMS) == []
        await page.reload()
        await expect(answer).to_have_count(1)
    await page.locator(".sources button").first.click()
    panel = page.get_by_role("dialog")
    await expect(panel).to_contain_text("14:00 to 16:00")
    await expect(panel).to_contain_text("window.hacked")
    assert await page.evaluate(HARMS) == []
    assert abroad == []


async def test_pressing_everything_that_can_be_pressed_runs_nothing(
    page: Page, hostile: Served, abroad: list[str]
) -> None:
    await asked(page, hostile)
    explained = f"{hostile.url}/t/hostile/messages/"  # the page's own link, beside the answer
    hrefs = await page.eval_on_selector_all(".desk a", "(links) => links.map((link) => [link.href, link.target])")
    assert [href for href, _ in hrefs if not href.startswith(("https://", "mailto:", "tel:", explained))] == []
    assert [href for href, target in hrefs if href.startswith("https:") and target != "_blank"] == []
    words = page.get_by_text("press")
    for place in range(await words.count()):
        if await words.nth(place).evaluate("(e) => e.closest('a') === null"):
            await words.nth(place).click(force=True)
    assert await page.evaluate(HARMS) == []
    assert abroad == []


async def test_the_explanation_is_words(page: Page, hostile: Served, abroad: list[str]) -> None:
    await asked(page, hostile)
    session = await page.evaluate("localStorage.getItem('frontdesk.hostile.session')")
    key = await hostile.bearing_key("hostile")
    history = await hostile.nobody.get(f"/api/hostile/conversations/{session}", params={"after": 0}, headers=key)
    message = history.json()["messages"][-1]["message_id"]
    await page.set_extra_http_headers(key)
    await page.goto(f"{hostile.url}/t/hostile/messages/{message}/explanation")
    await expect(page.get_by_role("heading", name="Why this answer?")).to_be_visible()
    await expect(page.get_by_text("window.hacked").first).to_be_visible()
    assert await page.evaluate(HARMS) == []
    assert abroad == []


async def test_an_answer_of_the_api_opened_as_a_page_is_no_page(page: Page, hostile: Served, abroad: list[str]) -> None:
    await asked(page, hostile)
    session = await page.evaluate("localStorage.getItem('frontdesk.hostile.session')")
    missing = "%3Cscript%3Ewindow.hacked=1%3C/script%3E"
    for path in (
        "/api/hostile/page", f"/api/hostile/conversations/{session}", f"/api/{missing}/page", f"/{missing}",
        f"/api/hostile/conversations/{missing}",
    ):  # fmt: skip
        response = await page.goto(f"{hostile.url}{path}")
        assert response is not None
        assert response.headers["content-type"].startswith("application/json")
        assert await page.evaluate("window.hacked") is None
        assert await page.locator("script, img, svg, iframe").count() == 0
    assert abroad == []


async def test_text_that_turns_its_neighbours_round_turns_only_itself(page: Page, hostile: Served) -> None:
    """Beside a name that leaves an override open, what stands behind is read in its own order."""
    await asked(page, hostile)
    assert await page.evaluate(TURNED, RLO) == []
    await page.evaluate(
        """(open) => {
            const control = document.createElement("p");
            control.append(`${open} a name`, document.createElement("i"), "what stands behind");
            document.querySelector("#page").append(control);
        }""",
        RLO,
    )
    assert await page.evaluate(TURNED, RLO) == ["what stands behind"]  # as it would be


async def test_a_model_that_never_ends_its_brackets_holds_nobody_up(page: Page, hostile: Served) -> None:
    body = {"user_id": "ann", "message": "[" * 1000 + "](" * 500}
    sent = await hostile.nobody.post("/api/hostile/chat", json=body)
    assert sent.status_code == 200
    await page.goto(f"{hostile.url}/t/hostile")
    await page.evaluate(f"localStorage.setItem('frontdesk.hostile.session', {json.dumps(sent.json()['session_id'])})")
    await page.reload()
    await expect(page.locator(".bubble")).to_contain_text("[[[[")
    assert await page.evaluate(HARMS) == []
