"""Thumbs below answers and the page of one decision, in a real browser on a real server."""

import re
from collections.abc import Callable

import pytest
from playwright.async_api import BrowserContext, Page, Response, expect
from scripted_desk import ScriptedDesk, message
from tests.browser.test_page_served import ask
from tests.identities import bearing
from tests.served import Served

UP, DOWN = "I was understood", "I was not understood"


def said(method: str, words: str = "") -> Callable[[Response], bool]:
    """The answer to such a request."""
    return lambda response: response.request.method == method and words in (response.request.post_data or "")


@pytest.fixture
async def staff(context: BrowserContext, served: Served) -> None:
    """Whoever may read conversations is shown the way to the explanation of an answer."""
    await context.set_extra_http_headers(bearing(served.key))


async def explained(served: Served, address: str | None) -> dict[str, object]:
    found = re.fullmatch(r"/t/clinic/messages/([0-9a-f-]{36})/explanation", address or "")
    assert found, address
    return dict((await served.client.get(f"/api/clinic/messages/{found[1]}/explanation")).json())


@pytest.mark.usefixtures("staff")
async def test_a_thumb_is_kept_remembered_changed_and_taken_back(page: Page, served: Served) -> None:
    await page.goto(served.url)
    answer = await ask(page, "Where can I park?")
    address = await answer.get_by_role("link", name="Why this answer?").get_attribute("href")
    await answer.get_by_role("button", name=UP).click()
    await expect(answer.get_by_role("status")).to_have_text("Thank you. This was noted.")
    [given] = (await explained(served, address))["feedback"]  # type: ignore[misc]
    assert (given["verdict"], given["agent"]) == ("right", None)

    await page.reload()
    await expect(page.get_by_role("button", name=UP)).to_have_attribute("aria-pressed", "true")
    await page.get_by_role("button", name=DOWN).click()
    async with page.expect_response(said("PUT", '"agent":"billing"')):
        await page.get_by_role("button", name="Billing and insurance").click()
    await expect(page.get_by_role("group", name="Whose matter was it?")).to_have_count(0)
    await expect(page.get_by_role("button", name=UP)).to_have_attribute("aria-pressed", "false")
    [given] = (await explained(served, address))["feedback"]  # type: ignore[misc]
    assert (given["verdict"], given["agent"]) == ("wrong", "billing")

    async with page.expect_response(said("DELETE")):
        await page.get_by_role("button", name=DOWN).press("Enter")  # pressed again: taken back, by keyboard
    await expect(page.get_by_role("button", name=DOWN)).to_have_attribute("aria-pressed", "false")
    assert (await explained(served, address))["feedback"] == []


@pytest.mark.usefixtures("staff")
async def test_the_page_of_a_decision_shows_its_stages_and_takes_a_verdict_by_keyboard(
    page: Page, served: Served, complaints: list[str]
) -> None:
    await page.goto(served.url)
    answer = await ask(page, "When are visiting hours?")
    link = answer.get_by_role("link", name="Why this answer?")
    await link.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Why this answer?")).to_be_visible()
    stages = page.locator(".stages > li")
    await expect(stages).to_have_count(8)
    decided = page.locator("[data-outcome=decided]")
    await expect(decided).to_contain_text("embedding")
    await expect(decided).to_contain_text("like the examples of general_info")
    await expect(decided.get_by_role("meter").first).to_be_visible()
    await expect(decided).to_contain_text("When are visiting hours?")
    await page.locator("summary").first.focus()
    await page.keyboard.press("Enter")
    await expect(page.locator(".steps pre").first).to_be_visible()
    await page.get_by_role("button", name=UP).press("Space")
    await expect(page.get_by_text("right, says", exact=False)).to_be_visible()
    await page.get_by_role("link", name="Lakeside Clinic").click()
    await expect(page.locator(".desk[data-role]")).to_contain_text("14:00 to 16:00")
    assert complaints == []


@pytest.mark.usefixtures("staff")
async def test_a_decision_that_nobody_knows_is_said_so(page: Page, served: Served) -> None:
    await page.goto(f"{served.url}/t/clinic/messages/0198c0de-0000-7000-8000-00000000dead/explanation")
    await expect(page.get_by_role("heading", name="No explanation")).to_be_visible()
    await expect(page.get_by_text("There is no such message.")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.usefixtures("staff")
async def test_the_page_of_a_decision_can_be_read_in_both_themes(
    context: BrowserContext, page: Page, served: Served, scheme: str
) -> None:
    message_id = (await served.chat("Which insurance do you accept?"))["message_id"]
    await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    await page.set_viewport_size({"width": 360, "height": 640})
    await page.goto(f"{served.url}/t/clinic/messages/{message_id}/explanation")
    await expect(page.locator(".stages > li")).to_have_count(8)
    ground, text = await page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert (sum(map(int, re.findall(r"\d+", ground)[:3])) > sum(map(int, re.findall(r"\d+", text)[:3]))) == (
        scheme == "light"
    )
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_a_verdict_that_could_not_be_kept_is_taken_off_again(page: Page, desk: ScriptedDesk) -> None:
    session = "0198c0de-0000-7000-8000-000000000001"
    desk.conversations[session] = [
        message(1, "user", "Hello?"),
        message(2, "assistant", "Good day.", in_reply_to=[1], metadata={"source": "local"}),
    ]
    await page.add_init_script(f"localStorage.setItem('frontdesk.clinic.session', '{session}')")
    await page.goto(desk.url)
    await expect(page.get_by_role("link", name="Why this answer?")).to_have_count(0)  # this desk does not explain
    await page.get_by_role("button", name=UP).click()  # and knows of no feedback
    await expect(page.get_by_text("This could not be kept. Please try again.")).to_be_visible()
    await expect(page.get_by_role("button", name=UP)).to_have_attribute("aria-pressed", "false")
