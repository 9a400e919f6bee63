"""The pages of staff in a real browser on a real server: from the printed link to signing out, by keyboard too."""

import asyncio
import base64
import re
import tempfile
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from time import time

import pytest
from playwright.async_api import Browser, BrowserContext, Locator, Page, expect
from tests.conftest import HANG_S
from tests.served import Served, serving

from frontdesk.identity import totp

PASSWORD = "correct horse battery"
OLGA, ANN = "olga@example.org", "ann@example.org"


@pytest.fixture(scope="module")
async def desk() -> AsyncIterator[Served]:
    """A server that nobody owns yet."""
    with tempfile.TemporaryDirectory(prefix="frontdesk-console-") as folder:
        async with serving(Path(folder)) as served:
            yield served


@pytest.fixture(scope="module")
async def owned(desk: Served, browser: Browser) -> Served:
    """The owner has begun by the printed link, in the browser."""
    link = (await desk.said_line("Owner: ")).partition("Owner: ")[2]
    context = await browser.new_context(locale="en-US")
    page = await context.new_page()
    await page.goto(link)
    await expect(page.get_by_label("Name")).to_be_focused()
    assert "token" not in page.url  # in no history either
    await page.keyboard.type("Olga Owner")
    await page.keyboard.press("Tab")
    await page.keyboard.type(OLGA)
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/console")
    await expect(page.get_by_text(OLGA)).to_be_visible()
    await expect(page.get_by_text("operator of this server")).to_be_visible()
    await context.close()
    return desk


async def sign_in(page: Page, desk: Served, email: str = OLGA, password: str = PASSWORD) -> None:
    await page.goto(f"{desk.url}/sign-in")
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password").fill(password)
    await page.keyboard.press("Enter")


async def shows(reloading: Awaitable[object], link: Locator) -> bool:
    await reloading
    await expect(link.page.get_by_role("heading", name="Console")).to_be_visible()
    return await link.count() > 0


async def code_shown(page: Page) -> str:
    secret = base64.b32decode((await page.locator("code.secret").inner_text()).replace(" ", ""))
    return totp.code_at(secret, int(time()) // totp.STEP_S)


async def test_what_needs_a_sign_in_asks_for_it_and_comes_back(page: Page, owned: Served) -> None:
    await page.goto(f"{owned.url}/console/account")
    await page.wait_for_url("**/sign-in?next=*")
    await expect(page.get_by_label("E-mail")).to_be_focused()
    await sign_in(page, owned, password="a wrong password")
    await expect(page.get_by_role("alert")).to_have_text("The e-mail address or the password is wrong.")
    await page.goto(f"{owned.url}/sign-in?next=%2Fconsole%2Faccount")
    await page.get_by_label("E-mail").fill(OLGA)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/console/account")
    await expect(page.get_by_role("heading", name="Your account")).to_be_visible()


async def test_who_did_not_say_of_which_organisation_he_is_is_asked(page: Page, owned: Served) -> None:
    await page.goto(f"{owned.url}/sign-in?tenant=nobody&next=/console/account")
    await expect(page.get_by_role("alert")).to_contain_text("no organisation of this name")
    await expect(page.get_by_label("Organisation")).to_be_focused()
    await page.keyboard.type("Clinic")
    await page.keyboard.press("Enter")
    await page.get_by_label("E-mail").fill(OLGA)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Your account")).to_be_visible()


async def test_a_sign_in_goes_to_no_other_site(page: Page, owned: Served) -> None:
    await page.goto(f"{owned.url}/sign-in?next=https%3A%2F%2Fevil.example%2F")
    await page.get_by_label("E-mail").fill(OLGA)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{owned.url}/console")


async def test_scripts_see_no_token_and_signing_out_ends_it(page: Page, owned: Served) -> None:
    await sign_in(page, owned)
    await page.wait_for_url("**/console")
    assert await page.evaluate("document.cookie") == "frontdesk_staff=1"
    assert await page.evaluate("JSON.stringify([localStorage, sessionStorage])") in ("[{},{}]",)
    await page.get_by_role("button", name="Sign out").click()
    await page.wait_for_url("**/sign-in*")
    await page.goto(f"{owned.url}/console", wait_until="commit")
    await page.wait_for_url("**/sign-in*")


async def test_an_invited_person_accepts_and_sees_what_is_his(
    page: Page, context: BrowserContext, browser: Browser, owned: Served
) -> None:
    await sign_in(page, owned)
    await page.wait_for_url("**/console")
    await page.get_by_role("navigation").get_by_role("link", name="Staff").click()
    await page.get_by_label("E-mail").fill(ANN)
    await page.get_by_label("Role", exact=True).select_option("viewer")
    await page.get_by_role("button", name="Invite", exact=True).click()
    link = await page.get_by_role("status").locator("code").inner_text()
    await expect(page.get_by_text("invited", exact=True)).to_be_visible()

    theirs = await browser.new_context(locale="en-US")
    invited = await theirs.new_page()
    await invited.goto(link)
    await invited.get_by_label("Name").fill("Ann Admin")
    await invited.get_by_label("Password").fill("short")
    await invited.get_by_role("button", name="Accept").click()
    assert invited.url.endswith("/welcome")  # the browser itself asks for a longer one
    await invited.get_by_label("Password").fill(PASSWORD)
    await invited.get_by_role("button", name="Accept").click()
    await invited.wait_for_url("**/console")
    await expect(invited.get_by_role("navigation").get_by_role("link", name="Staff")).to_have_count(0)

    await page.reload()
    await page.get_by_label("Role of Ann Admin").select_option("admin")
    await expect(page.get_by_label("Role of Ann Admin")).to_have_value("admin")
    async with asyncio.timeout(HANG_S):  # a new role counts within two seconds
        while not await shows(invited.reload(), invited.get_by_role("navigation").get_by_role("link", name="Staff")):
            pass
    await invited.get_by_role("navigation").get_by_role("link", name="Staff").click()
    await expect(invited.get_by_label("Role of Olga Owner")).to_have_count(0)  # owners are the owners' matter
    await page.get_by_role("listitem").filter(has_text=ANN).get_by_role("button", name="Disable").click()
    await expect(page.get_by_text("disabled", exact=True)).to_be_visible()
    await invited.goto(f"{owned.url}/console", wait_until="commit")  # it goes on by itself before it is loaded
    await invited.wait_for_url("**/sign-in*")
    await theirs.close()


async def test_a_used_link_says_so(page: Page, owned: Served) -> None:
    link = next(line for line in owned.said if "Owner: " in line).partition("Owner: ")[2]
    await page.goto(link)
    await expect(page.get_by_role("heading", name="This link does not work")).to_be_visible()
    await page.goto(f"{owned.url}/welcome")
    await expect(page.get_by_role("alert")).to_contain_text("not complete")


async def test_a_second_factor_is_set_up_asked_for_and_removed(page: Page, browser: Browser, owned: Served) -> None:
    await sign_in(page, owned)
    await page.wait_for_url("**/console")
    await page.get_by_role("link", name="Add one").click()
    await page.get_by_role("textbox", name="Password", exact=True).fill("another password")
    await page.get_by_role("button", name="Add a second factor").click()
    await expect(page.get_by_role("alert")).to_contain_text("The password is wrong")
    await page.get_by_role("textbox", name="Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Add a second factor").click()
    await expect(page.get_by_role("img", name="QR code for your authenticator app")).to_be_visible()
    await page.get_by_label("Code that the app shows now").fill("000000")
    await page.get_by_role("button", name="Turn it on").click()
    await expect(page.get_by_role("alert")).to_contain_text("is not the code")
    await page.get_by_label("Code that the app shows now").fill(await code_shown(page))
    await page.get_by_role("button", name="Turn it on").click()
    await expect(page.locator(".codes code")).to_have_count(totp.RECOVERY_CODES)
    codes = await page.locator(".codes code").all_inner_texts()

    elsewhere = await browser.new_context(locale="en-US")
    other = await elsewhere.new_page()
    await sign_in(other, owned)
    await expect(other.get_by_label("Code")).to_be_focused()
    await other.keyboard.type(codes[0])
    await other.keyboard.press("Enter")
    await other.wait_for_url("**/console")

    await page.reload()
    await expect(page.get_by_text("9 recovery codes are left")).to_be_visible()
    await page.get_by_role("button", name="Sign out everywhere else").click()
    await expect(page.get_by_role("button", name="Sign out there")).to_have_count(0)
    await other.reload()
    await other.wait_for_url("**/sign-in*")
    await elsewhere.close()
    await page.get_by_text("Remove it").click()
    await page.get_by_role("textbox", name="Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Remove the second factor").click()
    await expect(page.get_by_role("button", name="Add a second factor")).to_be_visible()


async def test_pages_whose_access_ran_out_renew_it_together(page: Page, context: BrowserContext, owned: Served) -> None:
    await sign_in(page, owned)
    await page.wait_for_url("**/console")
    pages = [page, await context.new_page(), await context.new_page()]
    await context.clear_cookies(name="frontdesk_access")
    for each in pages:
        await each.goto(f"{owned.url}/console/account", wait_until="commit")
    for each in pages:
        await expect(each.get_by_role("heading", name="Where you are signed in")).to_be_visible()
        await expect(each.get_by_text("This browser")).to_be_visible()


async def test_staff_see_why_on_the_visitors_page_and_visitors_do_not(
    page: Page, context: BrowserContext, browser: Browser, owned: Served
) -> None:
    await sign_in(page, owned)
    await page.wait_for_url("**/console")
    await context.clear_cookies(name="frontdesk_access")  # also when it ran out meanwhile
    await page.goto(owned.url)
    await page.fill("#message", "Where can I park?")
    await page.keyboard.press("Enter")
    await page.get_by_role("link", name="Why this answer?").click(timeout=60_000)
    await expect(page.get_by_role("heading", name="How it was decided")).to_be_visible()
    explanation = page.url

    nobody = await browser.new_context(locale="en-US")
    visitor = await nobody.new_page()
    await visitor.goto(owned.url)
    await visitor.fill("#message", "Where can I park?")
    await visitor.keyboard.press("Enter")
    await expect(visitor.locator(".desk[data-role]")).to_have_count(1, timeout=60_000)
    await expect(visitor.get_by_role("link", name="Why this answer?")).to_have_count(0)
    await visitor.goto(explanation)
    await expect(visitor.get_by_role("heading", name="No explanation")).to_be_visible()
    await nobody.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_can_be_read_in_both_themes(browser: Browser, owned: Served, scheme: str) -> None:
    """Contrast of 4.5 at least (WCAG 2.2, 1.4.3) of every text on the page."""
    context = await browser.new_context(locale="en-US", color_scheme=scheme)  # type: ignore[arg-type]
    page = await context.new_page()
    await sign_in(page, owned)
    await page.wait_for_url("**/console")
    for path in ("/console/account", "/console/staff", "/sign-in"):
        await page.goto(owned.url + path)
        await page.get_by_role("heading").first.wait_for()
        assert await page.evaluate(CONTRASTS) == []
    await context.close()


async def test_a_phone_shows_everything_without_scrolling_sideways(browser: Browser, owned: Served) -> None:
    context = await browser.new_context(locale="en-US", viewport={"width": 360, "height": 740})
    page = await context.new_page()
    await sign_in(page, owned)
    await page.wait_for_url("**/console")
    for path in ("/console", "/console/account", "/console/staff"):
        await page.goto(owned.url + path)
        await page.get_by_role("heading", level=2).first.wait_for()
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await context.close()


async def test_a_server_that_is_gone_is_told(page: Page, owned: Served) -> None:
    await page.route("**/api/auth/**", lambda route: route.abort())
    await page.goto(f"{owned.url}/console")
    await expect(page.get_by_role("alert")).to_contain_text("can’t be reached")
    await page.unroute("**/api/auth/**")
    await page.get_by_role("button", name="Try again").click()
    await page.wait_for_url(re.compile("/sign-in"))


# Texts whose colour is too near to what is behind them.
CONTRASTS = """() => {
    const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const light = (colour) => {
        const [r, g, b] = numbers(colour).map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        for (let each = element; each; each = each.parentElement) {
            const colour = getComputedStyle(each).backgroundColor;
            if ((numbers(colour)[3] ?? 1) > 0) return colour;
        }
        return "rgb(255, 255, 255)";
    };
    const found = [];
    for (const element of document.querySelectorAll("body *")) {
        const text = [...element.childNodes].filter((node) => node.nodeType === 3 && node.data.trim());
        if (!text.length || !element.checkVisibility()) continue;
        const [a, b] = [light(getComputedStyle(element).color), light(behind(element))].sort((x, y) => y - x);
        if ((a + 0.05) / (b + 0.05) < 4.5) found.push(text[0].data.trim());
    }
    return found;
}"""
