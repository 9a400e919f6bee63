"""The pictures of the page in docs/images: a real server, a short conversation, a real browser."""

import argparse
import asyncio
import os
import re
import struct
import subprocess
import sys
import tempfile
import zlib
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
from playwright.async_api import Browser, Page, async_playwright, expect

FIND_CHROMIUM = Path(__file__).parent / "chromium"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
IMAGES = Path(__file__).parent.parent / "docs" / "images"
READY = re.compile(r"Ready in [\d.]+ s: (http://\S+)")
OWNER = re.compile(r"Owner: (http://\S+)")
START_S = 120.0
PASSWORD = "correct horse battery"
DESKTOP = {"width": 1100, "height": 800}
PHONE = {"width": 360, "height": 740}


@asynccontextmanager
async def server() -> AsyncIterator[tuple[str, str]]:
    """Address and owner's link of a server with the clinic and without keys, on a free port, with data of its own."""
    clean = {name: value for name, value in os.environ.items() if not re.match(r"FRONTDESK_|.+_API_KEY$", name)}
    with tempfile.TemporaryDirectory(prefix="frontdesk-pictures-") as data:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "frontdesk", "serve", "--port", "0", "--data", data,
            env=clean,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stderr is not None
        draining: asyncio.Task[bytes] | None = None
        try:
            async with asyncio.timeout(START_S):
                async for line in process.stderr:
                    if ready := READY.search(line.decode()):
                        url = ready[1]
                    if owner := OWNER.search(line.decode()):
                        break
                else:
                    raise SystemExit("The server did not start.")
            draining = asyncio.create_task(process.stderr.read())  # its log must not fill the pipe
            yield url, owner[1]
        finally:
            process.terminate()
            await process.wait()
            if draining is not None:
                await draining


async def opened(browser: Browser, url: str, size: dict[str, int], scheme: str, **more: bool | float) -> Page:
    context = await browser.new_context(
        locale="en-GB", viewport=size, color_scheme=scheme, reduced_motion="reduce", **more
    )
    page = await context.new_page()
    await page.goto(url)
    await page.wait_for_selector(".welcome")
    return page


async def say(page: Page, text: str) -> None:
    """Write it and wait for its whole answer."""
    said = await page.locator(".visitor").count()
    await page.fill("#message", text)
    await page.keyboard.press("Enter")
    await answered(page, said + 1)


async def choose(page: Page) -> None:
    """Press the second of the times that are offered."""
    said = await page.locator(".visitor").count()
    await page.locator(".options button").nth(1).click()
    await answered(page, said + 1)


async def answered(page: Page, messages: int) -> None:
    await expect(page.locator(".desk[data-role]")).to_have_count(messages, timeout=30_000)
    await expect(page.locator("[aria-busy]")).to_have_count(0)


async def begun(browser: Browser, owner: str, sheet: Page) -> Page:
    """The first owner has begun by his link, and is signed in."""
    context = await browser.new_context(locale="en-GB", viewport=DESKTOP, color_scheme="light", reduced_motion="reduce")
    page = await context.new_page()
    await page.goto(owner)
    await page.get_by_label("Name").fill("Olga Lindqvist")
    await page.get_by_label("E-mail").fill("olga@clinic.example")
    await take(page, sheet, "welcome.png")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/console")
    return page


async def take_console(page: Page, url: str, sheet: Page) -> None:
    await page.goto(f"{url}/console/staff")
    for email, role in (("ann@clinic.example", "admin"), ("ben@clinic.example", "supporter")):
        await page.get_by_label("E-mail").fill(email)
        await page.get_by_label("Role", exact=True).select_option(role)
        await page.get_by_role("button", name="Invite", exact=True).click()
        await page.get_by_text(email).wait_for()
    await page.reload()  # without the invitation's link
    await page.get_by_text("ben@clinic.example").wait_for()
    await take(page, sheet, "staff.png")
    await page.goto(f"{url}/console/account")
    await page.get_by_role("textbox", name="Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Add a second factor").click()
    await page.get_by_role("img", name="QR code for your authenticator app").wait_for()
    await page.evaluate("document.querySelector('#factor').scrollIntoView()")
    await take(page, sheet, "account.png")


async def take(page: Page, sheet: Page, name: str) -> None:
    target = IMAGES / name
    target.write_bytes(await smaller(await page.screenshot(), sheet))
    print(f"{target.name}: {target.stat().st_size / 1024:.0f} KiB")


def chromium() -> str:
    return subprocess.run([FIND_CHROMIUM], capture_output=True, text=True, check=True).stdout.strip()


async def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    async with server() as (url, owner), async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        sheet = await browser.new_page()
        page = await opened(browser, url, DESKTOP, "light")
        await say(page, "Can I see the cardiologist next Tuesday afternoon?")
        await choose(page)
        await say(page, "Maria Silva")
        await say(page, "020 912 3456")
        await expect(page.locator(".desk[data-role]").last).to_contain_text("14:30")
        await say(page, "When are visiting hours, and how do I prepare for a blood test?")
        await take(page, sheet, "page.png")
        page = await opened(browser, url, DESKTOP, "dark")
        await say(page, "Where can I park, and which insurance do you accept?")
        await say(page, "Can I see the cardiologist next Tuesday afternoon?")
        await take(page, sheet, "page-dark.png")
        page = await begun(browser, owner, sheet)
        await take_console(page, url, sheet)
        await page.goto(url)
        await page.wait_for_selector(".welcome")
        await say(page, "When are visiting hours?")
        await page.get_by_role("link", name="Why this answer?").click()
        await page.wait_for_selector("[data-outcome=decided]")
        await take(page, sheet, "explanation.png")
        page = await opened(browser, url, PHONE, "light", has_touch=True, is_mobile=True, device_scale_factor=2)
        await say(page, "How do I prepare for a blood test?")
        await take(page, sheet, "page-phone.png")
        await browser.close()


# A browser writes pictures quickly, not small. A page has few colours: the 256 that matter fit a palette.

COMMON = 128  # colours of the palette that are there for being common
PIXELS = """async (png) => {
    const picture = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
    const context = new OffscreenCanvas(picture.width, picture.height).getContext("2d");
    context.drawImage(picture, 0, 0);
    const { data } = context.getImageData(0, 0, picture.width, picture.height);
    const parts = [];
    for (let i = 0; i < data.length; i += 32768) parts.push(String.fromCharCode(...data.subarray(i, i + 32768)));
    return [picture.width, picture.height, btoa(parts.join(""))];
}"""


async def smaller(png: bytes, sheet: Page) -> bytes:
    """The same picture with a palette; its rarest colours become their nearest common ones. `sheet` decodes it."""
    width, height, data = await sheet.evaluate(PIXELS, b64encode(png).decode())
    pixels = np.frombuffer(b64decode(data), np.uint8).reshape(-1, 4)[:, :3].astype(np.int32)
    colours, place, count = np.unique(pixels, axis=0, return_inverse=True, return_counts=True)
    kept = colours[np.argsort(-count)[:COMMON]]
    distance = np.square(colours[:, None] - kept).sum(axis=2)
    while len(kept) < min(256, len(colours)):
        # A small dot counts too: after the commonest comes whatever is least like those.
        added = colours[distance.min(axis=1).argmax()]
        kept = np.vstack([kept, added])
        distance = np.column_stack([distance, np.square(colours - added).sum(axis=1)])
    nearest = distance.argmin(axis=1).astype(np.uint8)
    unfiltered = np.zeros((height, 1), np.uint8)  # each line begins with the number of its filter: none
    lines = np.hstack([unfiltered, nearest[place.ravel()].reshape(height, width)])
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    palette = kept.astype(np.uint8).tobytes()
    chunks = (b"IHDR", header), (b"PLTE", palette), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b"")
    return png[:8] + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    asyncio.run(main())
