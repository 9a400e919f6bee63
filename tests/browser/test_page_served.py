"""The clinic's stories in a real browser, on a real server with the built-in model, and once with a scripted vendor."""

import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import BrowserContext, Locator, Page, expect
from tests.served import Served, serving
from tests.vendors.replies import Reply, VendorRequest
from tests.vendors.server import Vendor

# One worker has the servers of this file.
ANSWER_MS = 30_000


def answers(page: Page) -> Locator:
    return page.locator(".desk[data-role]")


async def ask(page: Page, text: str) -> Locator:
    """Write it and wait for its whole answer."""
    before = await answers(page).count()
    await page.fill("#message", text)
    await page.keyboard.press("Enter")
    return await answered(page, before)


async def press(page: Page, option: Locator) -> Locator:
    before = await answers(page).count()
    await option.click()
    return await answered(page, before)


async def answered(page: Page, before: int) -> Locator:
    await expect(answers(page)).to_have_count(before + 1, timeout=ANSWER_MS)
    await expect(page.locator("[aria-busy]")).to_have_count(0)
    return answers(page).last


async def session_of(page: Page) -> str:
    return str(await page.evaluate("localStorage.getItem('frontdesk.clinic.session')"))


async def test_a_question_is_answered_from_the_documents_with_a_passage_to_open(
    page: Page, served: Served, complaints: list[str]
) -> None:
    await page.goto(served.url)
    await expect(page.get_by_role("heading", name="Welcome to Lakeside Clinic.")).to_be_visible()
    await page.get_by_role("button", name="When are visiting hours?").click()
    answer = await answered(page, 0)
    await expect(answer).to_contain_text("14:00 to 16:00")
    await expect(page.locator(".origin")).to_contain_text("built-in model from the documents of Lakeside Clinic")
    await answer.locator("button.cite").first.click()
    panel = page.get_by_role("dialog")
    await expect(panel.locator("mark")).to_contain_text("14:00 to 16:00")
    await expect(panel.get_by_role("heading")).to_have_text("Visiting hours and rules for visitors")
    await page.keyboard.press("Escape")
    await expect(panel).to_have_count(0)
    assert complaints == []


async def test_an_appointment_is_really_booked_one_question_at_a_time(page: Page, served: Served) -> None:
    await page.goto(f"{served.url}/t/clinic")
    answer = await ask(page, "I'd like to book an appointment with the cardiologist")
    await expect(answer).to_contain_text("Which day")
    answer = await ask(page, "next Tuesday afternoon")
    offered = answer.locator(".options button").last
    time = await offered.inner_text()
    answer = await press(page, offered)
    await expect(answer).to_contain_text("name")
    answer = await ask(page, "Maria Silva")
    await expect(answer).to_contain_text("phone number")
    answer = await ask(page, "087 123 4567")
    await expect(answer).to_contain_text("Your appointment is booked")
    await expect(answer.locator("strong")).to_contain_text(time)
    answer = await ask(page, "Which appointments do I have?")
    await expect(answer).to_contain_text(time)
    await expect(page.locator(".trouble")).to_have_count(0)


async def test_two_questions_in_one_message_get_one_answer_to_both(page: Page, served: Served) -> None:
    await page.goto(served.url)
    answer = await ask(page, "What are the visiting hours, and how do I prepare for a blood test?")
    await expect(answer).to_contain_text("14:00 to 16:00")
    await expect(answer).to_contain_text("eat nothing")
    await expect(answer.locator(".agent")).to_have_count(2)
    await expect(answer.locator(".sources li")).to_have_count(2)


async def test_the_unclear_is_asked_back_and_answered_with_one_press(page: Page, served: Served) -> None:
    await page.goto(served.url)
    answer = await ask(page, "invoice appointment")
    await expect(answer.locator(".options button")).to_have_text(["Billing and insurance", "Appointments"])
    answer = await press(page, page.get_by_role("button", name="Appointments"))
    await expect(answer.locator(".agent")).to_have_text("Appointments")


async def test_a_change_of_subject_comes_back_to_the_booking(page: Page, served: Served) -> None:
    await page.goto(served.url)
    await ask(page, "I'd like to book an appointment with the cardiologist")
    answer = await ask(page, "Is there parking at the clinic?")
    await expect(answer.locator(".sources")).to_contain_text("Parking")
    answer = await ask(page, "next Tuesday")
    await expect(answer.locator(".agent")).to_have_text("Appointments")


async def test_an_emergency_is_answered_with_the_emergency_text(page: Page, served: Served) -> None:
    await page.set_viewport_size({"width": 360, "height": 740})
    await page.goto(served.url)
    await ask(page, "I have crushing chest pain and can't breathe")
    alert = page.get_by_role("alert")
    call = alert.get_by_role("link", name="112").first
    for _ in ("written", "read again"):
        await expect(alert).to_contain_text("call 112 straight away")
        await expect(call).to_be_in_viewport(ratio=1)
        await page.reload()
    history = await served.history(await session_of(page))
    assert history["emergency"] is True


async def test_a_wish_for_a_human_is_kept_and_said(page: Page, served: Served) -> None:
    await page.goto(served.url)
    await ask(page, "Can I talk to a real person please?")
    await expect(page.get_by_text("A person has been asked for.")).to_be_visible()
    await page.reload()
    await expect(page.get_by_text("A person has been asked for.")).to_be_visible()


async def test_hostile_and_foreign_words_are_shown_as_they_were_written(page: Page, served: Served) -> None:
    text = "<img src=x onerror=alert(1)> **مرحبا** & شكرا"
    await page.goto(served.url)
    await ask(page, text)
    await page.reload()
    bubble = page.locator(".bubble")
    await expect(bubble).to_have_text(text)
    assert await page.locator("#page img").count() == 0


async def test_the_longest_message_is_taken_and_a_longer_one_is_not(page: Page, served: Served) -> None:
    await page.goto(served.url)
    words = "When can I visit my mother? ".ljust(2000, "😀")
    await ask(page, words)
    assert (await served.history(await session_of(page)))["messages"][0]["content"] == words
    await page.fill("#message", words + "!")
    await expect(page.get_by_role("button", name="Send", exact=True)).to_be_disabled()


async def test_another_tenants_address_is_unknown(page: Page, served: Served) -> None:
    await page.goto(f"{served.url}/t/nobody-here")
    await expect(page.get_by_role("heading", name="There is no desk at this address")).to_be_visible()


async def test_the_page_and_its_icon_are_there_and_revalidated(served: Served) -> None:
    icon = await served.client.get("/favicon.ico")
    assert (icon.status_code, icon.headers["content-type"]) == (200, "image/svg+xml")
    first = await served.client.get("/static/chat/main.js")
    assert first.headers["content-type"].startswith("text/javascript")
    again = await served.client.get("/static/chat/main.js", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304
    for path in ("../__init__.py", "%2e%2e/__init__.py", "..%2f__init__.py", "chat", "/etc/passwd"):
        assert (await served.client.get(f"/static/{path}")).status_code == 404


# Lines that don't hold


def vendor_environment(vendor: Vendor) -> dict[str, str]:
    return {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": vendor.openai_url}


WORDS = [f"word{n} " for n in range(40)]


@pytest.fixture(scope="module")
async def slow_vendor() -> AsyncIterator[Vendor]:
    """A model that takes its time over each answer."""

    def reply(request: VendorRequest) -> Reply:
        if request.output_schema is not None:
            return Reply(json.dumps({"kind": "single", "agents": ["general_info"]}))
        return Reply("".join(WORDS), stream_chunks=WORDS, delay_s=0.05)

    vendor = Vendor()
    vendor.responder = reply
    await vendor.start()
    yield vendor
    await vendor.stop()


@pytest.fixture(scope="module")
async def slow(slow_vendor: Vendor) -> AsyncIterator[Served]:
    with tempfile.TemporaryDirectory(prefix="frontdesk-slow-") as folder:
        async with serving(Path(folder), vendor_environment(slow_vendor)) as served:
            yield served


async def test_a_page_closed_in_mid_answer_shows_the_whole_answer_later(page: Page, slow: Served) -> None:
    await page.goto(slow.url)
    await page.fill("#message", "How do I prepare for a blood test?")
    await page.keyboard.press("Enter")
    await expect(page.locator(".writing")).to_contain_text("word3")
    await page.goto("about:blank")
    await page.goto(slow.url)
    await expect(page.locator(".bubble")).to_have_text("How do I prepare for a blood test?")
    await expect(page.locator(".writing")).to_contain_text("word0 word1")  # from its beginning, and still going on
    await expect(answers(page).locator(".text")).to_have_text("".join(WORDS).strip(), timeout=ANSWER_MS)
    await expect(page.locator(".origin")).to_contain_text("openai")


async def test_a_laptop_that_sleeps_in_mid_answer_wakes_to_the_whole_answer(
    context: BrowserContext, page: Page, slow: Served
) -> None:
    await page.goto(slow.url)
    await page.fill("#message", "How do I prepare for a blood test?")
    await page.keyboard.press("Enter")
    await expect(page.locator(".writing")).to_contain_text("word3")
    await context.set_offline(True)
    await page.evaluate("dispatchEvent(new Event('online'))")  # the open line dies, as it does in a sleep
    await expect(page.locator(".link")).not_to_have_text("Online")
    await slow.answered(await session_of(page), {1})
    await context.set_offline(False)
    await expect(answers(page).locator(".text")).to_have_text("".join(WORDS).strip(), timeout=ANSWER_MS)
    await expect(page.locator(".link")).to_have_text("Online")
    await expect(page.locator(".bubble")).to_have_count(1)


async def test_a_server_killed_under_the_page_loses_nothing_and_answers_once(
    page: Page, slow_vendor: Vendor, tmp_path: Path
) -> None:
    environment = vendor_environment(slow_vendor)
    async with serving(tmp_path, environment) as served:
        await interrupted(page, served)
    async with serving(tmp_path, environment, port=urlsplit(served.url).port or 0) as again:
        await expect(answers(page)).to_have_count(2, timeout=2 * ANSWER_MS)
        await expect(page.locator(".link")).to_have_text("Online")
        await expect(page.locator(".bubble")).to_have_count(2)
        for text in await answers(page).locator(".text").all_inner_texts():
            assert text == "".join(WORDS).strip()
        messages = (await again.history(await session_of(page)))["messages"]
        covered = sorted(seq for message in messages for seq in message["in_reply_to"])
        assert covered == [message["seq"] for message in messages if message["role"] == "user"]
        assert len(messages) == 4


async def interrupted(page: Page, served: Served) -> None:
    """A message whose answer was being written when the server was killed, and one that was written after that."""
    await page.goto(served.url)
    await page.fill("#message", "How do I prepare for a blood test?")
    await page.keyboard.press("Enter")
    await expect(page.locator(".writing")).to_contain_text("word3")
    await served.kill()
    await expect(page.locator(".link")).to_have_text("Reconnecting…")
    await page.fill("#message", "And when can I visit?")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Waiting for the connection.")).to_be_visible()
