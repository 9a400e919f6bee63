"""A real Chromium, a page in it, and the desk it talks to."""

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright
from scripted_desk import ScriptedDesk
from tests.conftest import IN_CI

FIND_CHROMIUM = Path(__file__).parents[2] / "scripts" / "chromium"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
DESKTOP = {"width": 1100, "height": 800}


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    chromium = subprocess.run([FIND_CHROMIUM], capture_output=True, text=True, check=False).stdout.strip()
    if not chromium:
        (pytest.fail if IN_CI else pytest.skip)("no Chromium that runs: install one, or name one by CHROMIUM")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    context = await browser.new_context(locale="en-US", viewport=DESKTOP, reduced_motion="reduce")
    context.set_default_timeout(15_000)
    yield context
    await context.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser found wrong with the page, lines that did not hold included: empty over a good line."""
    return []


@pytest.fixture
async def page(context: BrowserContext, complaints: list[str]) -> AsyncIterator[Page]:
    """A page that must not break: nothing uncaught, nothing stopped by its content security policy, no warning."""
    page = await context.new_page()

    def heard(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(f"{message.text} {message.location.get('url')}")

    page.on("console", heard)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    # A refused or broken request is told by the browser itself: what the page makes of it is what the tests look at.
    assert [text for text in complaints if "Failed to load resource" not in text] == []


@pytest.fixture
async def desk() -> AsyncIterator[ScriptedDesk]:
    async with ScriptedDesk().running() as desk:
        yield desk


@pytest.fixture(scope="session")
async def sheet(browser: Browser) -> AsyncIterator[Page]:
    """A page of ours to call its modules on; one for all tests, which leave nothing on it."""
    async with ScriptedDesk().running() as desk:
        context = await browser.new_context(locale="en-US")
        page = await context.new_page()
        broken: list[str] = []
        page.on("pageerror", lambda error: broken.append(str(error)))
        await page.goto(desk.url)
        await page.wait_for_selector(".welcome")
        yield page
        assert broken == []
        assert await page.evaluate("window.hacked") is None
        await context.close()
