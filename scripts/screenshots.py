"""`make screenshots`: every page of a running crispsync, light and dark, wide and narrow, into screenshots/.

    .venv/bin/python scripts/screenshots.py [--url http://127.0.0.1:8000] [--only NAME]

Without --url it starts `make demo` itself, on a free port, and ends it afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "screenshots"
WIDTHS = (1440, 375)
SCHEMES: tuple[Any, Any] = ("light", "dark")
# A place on a list page is followed to the first row of it: that is the page of one.
PAGES = {
    "overview": "/",
    "contacts": "/contacts",
    "contact": "/contacts -> a.row-link",
    "companies": "/companies",
    "company": "/companies -> a.row-link",
    "conversations": "/conversations",
    "conversation": "/conversations?sort=-messages -> a.row-link",
    "insights": "/insights",
    "insights-operators": "/insights?by=operator",
    "insights-behind": "/insights?by=company -> .insight-rows td.figures a",
    "insights-at-risk": "/insights/at-risk?silent_days=20",
    "unmatched": "/unmatched",
    "unmatched-group": "/unmatched -> .domains a",
    "unmatched-remedy": "/unmatched/remedy?kind=create&reason=unknown_email",
    "syncs": "/syncs",
    "sync": "/syncs -> a.row-link",
    "events": "/events",
    "search": "/search?q=a",
}


async def take(chromium: str, url: str, only: str, login: tuple[str, str]) -> None:
    FOLDER.mkdir(exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        for scheme in SCHEMES:
            for width in WIDTHS:
                context = await browser.new_context(
                    viewport={"width": width, "height": 900}, color_scheme=scheme
                )
                page = await context.new_page()
                await _log_in(page, url, *login)
                for name, place in PAGES.items():
                    if only in name:
                        await _one(page, url, place, FOLDER / f"{name}-{scheme}-{width}.png")
                await context.close()
        await browser.close()


async def _log_in(page: Page, url: str, email: str, password: str) -> None:
    await page.goto(f"{url}/login")
    await page.fill("input[name=email]", email)
    await page.fill("input[name=password]", password)
    await page.click("button")
    await page.wait_for_url(f"{url}/")


async def _one(page: Page, url: str, place: str, path: Path) -> None:
    address, _, row = place.partition(" -> ")
    await page.goto(url + address)
    if row:
        first = await page.locator(row).first.get_attribute("href", timeout=2_000)
        await page.goto(f"{url}{first}")
    await page.screenshot(path=path, full_page=True)
    print(path.relative_to(ROOT))


@contextmanager
def a_demo() -> Iterator[str]:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    demo = subprocess.Popen(
        [sys.executable, ROOT / "scripts/demo.py", "--port", str(port)],
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        for line in demo.stdout or ():
            if found_url := re.match(r"Open (http://\S+?)/?$", line):
                yield found_url.group(1)
                return
        sys.exit("screenshots: the demo did not start; `make demo` tells why.")
    finally:
        os.killpg(demo.pid, signal.SIGTERM)
        demo.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="")
    parser.add_argument("--only", default="")
    # What `make demo` prints.
    parser.add_argument("--email", default="demo@crispsync.example")
    parser.add_argument("--password", default="demo-crispsync")
    given = parser.parse_args()
    finder = ["sh", str(ROOT / "scripts/chromium.sh")]
    chromium = subprocess.run(finder, capture_output=True, text=True, check=True).stdout.strip()
    with nullcontext(given.url.rstrip("/")) if given.url else a_demo() as url:
        asyncio.run(take(chromium, url, given.only, (given.email, given.password)))


if __name__ == "__main__":
    main()
