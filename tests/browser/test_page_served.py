"""The clinic's stories in a real browser, on a real server with the built-in model."""

from typing import Protocol

from playwright.async_api import Page, expect


class Served(Protocol):
    url: str


async def ask(page: Page, text: str) -> None:
    """Write it and wait for its whole answer."""
    before = await page.locator(".desk[data-role]").count()
    await page.fill("#message", text)
    await page.keyboard.press("Enter")
    await expect(page.locator(".desk[data-role]")).to_have_count(before + 1, timeout=30_000)
    await expect(page.locator("[aria-busy]")).to_have_count(0)


async def test_a_question_is_answered_from_the_documents_with_a_passage_to_open(page: Page, served: Served) -> None:
    await page.goto(served.url)
    await ask(page, "What are the visiting hours?")
    await expect(page.locator(".origin")).to_contain_text("built-in model")
    await page.locator("button.cite").first.click()
    await expect(page.get_by_role("dialog").locator("mark")).not_to_be_empty()


async def test_an_appointment_is_booked_one_question_at_a_time(page: Page, served: Served) -> None:
    await page.goto(f"{served.url}/t/clinic")
    await ask(page, "I'd like to book an appointment")
    await expect(page.locator(".desk[data-role]").last).to_contain_text("?")
    await expect(page.locator(".trouble")).to_have_count(0)


async def test_an_emergency_is_answered_with_the_emergency_text(page: Page, served: Served) -> None:
    await page.goto(served.url)
    await ask(page, "I have crushing chest pain and can't breathe")
    await expect(page.get_by_role("alert")).to_be_visible()
    await page.reload()
    await expect(page.get_by_role("alert")).to_be_visible()


async def test_a_wish_for_a_human_is_kept_and_said(page: Page, served: Served) -> None:
    await page.goto(served.url)
    await ask(page, "Can I talk to a real person please?")
    await expect(page.get_by_text("A person has been asked for.")).to_be_visible()


async def test_a_page_closed_in_mid_answer_shows_the_whole_answer_later(page: Page, served: Served) -> None:
    await page.goto(served.url)
    await page.fill("#message", "How do I prepare for a blood test?")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("[data-delivery=sent]")
    await page.goto("about:blank")
    await page.goto(served.url)
    await expect(page.locator(".bubble")).to_have_text("How do I prepare for a blood test?")
    await expect(page.locator(".desk[data-role] .text")).not_to_be_empty(timeout=30_000)


async def test_another_tenants_address_is_unknown(page: Page, served: Served) -> None:
    await page.goto(f"{served.url}/t/nobody-here")
    await expect(page.get_by_role("heading", name="There is no desk at this address")).to_be_visible()
