"""The page of an organisation that asks everybody for a credential: it fetches a visitor's token by itself."""

import json
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, Request, expect
from tests.browser.test_page_served import answers, ask
from tests.identity.closed_clinic import closed_clinic
from tests.served import Served

KEY = "frontdesk.clinic.visit"


@pytest.fixture(scope="module")
async def closed() -> AsyncIterator[Served]:
    async with closed_clinic("widget: {enabled: true}") as served:
        yield served


async def visit_of(page: Page) -> dict[str, str]:
    return dict(json.loads(await page.evaluate(f"sessionStorage.getItem('{KEY}')")))


async def test_a_visitor_is_answered_without_an_account_and_after_a_reload_too(page: Page, closed: Served) -> None:
    await page.goto(f"{closed.url}/t/clinic")
    await expect(page.locator(".welcome")).to_be_visible()
    assert await page.evaluate(f"sessionStorage.getItem('{KEY}')") is None  # who only looks gets none
    answer = await ask(page, "When are visiting hours?")
    await expect(answer).to_contain_text("14:00 to 16:00")
    visit = await visit_of(page)
    assert await page.evaluate("localStorage.length") == 0  # nothing of it outlives the tab
    await page.reload()
    await expect(answers(page)).to_contain_text("14:00 to 16:00")
    await ask(page, "Where can I park?")
    assert (await visit_of(page))["session_id"] == visit["session_id"]
    history = (await closed.history(visit["session_id"]))["messages"]
    assert len(history) == 4


async def test_a_new_conversation_is_another_visit(page: Page, closed: Served) -> None:
    await page.goto(f"{closed.url}/t/clinic")
    await ask(page, "When are visiting hours?")
    before = await visit_of(page)
    await page.get_by_role("button", name="New conversation").click()
    await page.get_by_role("button", name="Start new").click()
    await expect(answers(page)).to_have_count(0)
    await ask(page, "Where can I park?")
    after = await visit_of(page)
    assert before["session_id"] != after["session_id"] and before["user_id"] != after["user_id"]
    assert len((await closed.history(after["session_id"]))["messages"]) == 2


async def test_a_visit_that_is_over_goes_on_in_a_new_one_below_what_was_said(page: Page, closed: Served) -> None:
    await page.goto(f"{closed.url}/t/clinic")
    await ask(page, "When are visiting hours?")
    before = await visit_of(page)
    spoilt = json.dumps(before | {"token": before["token"][:-9] + "AAAAAAAAA"})
    await page.evaluate(f"sessionStorage.setItem('{KEY}', JSON.stringify({spoilt}))")
    await page.reload()
    await ask(page, "Where can I park?")
    after = await visit_of(page)
    assert before["session_id"] != after["session_id"]
    assert len((await closed.history(after["session_id"]))["messages"]) == 2


async def test_a_token_is_renewed_before_it_ends(page: Page, closed: Served) -> None:
    renewed: list[Request] = []
    page.on("request", lambda request: renewed.append(request) if request.url.endswith("/tokens") else None)
    await page.clock.install()
    await page.goto(f"{closed.url}/t/clinic")
    await ask(page, "When are visiting hours?")
    before = await visit_of(page)
    async with page.expect_response(lambda response: response.url.endswith("/tokens")) as told:
        await page.clock.fast_forward("00:50:00")
    assert (await told.value).status == 201
    await page.wait_for_function(f"JSON.parse(sessionStorage.getItem('{KEY}')).token !== '{before['token']}'")
    assert [("authorization" in request.headers) for request in renewed] == [False, True]
    assert (await visit_of(page))["session_id"] == before["session_id"]
    await ask(page, "Where can I park?")
    assert len((await closed.history(before["session_id"]))["messages"]) == 4
