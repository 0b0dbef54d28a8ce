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
# By the app's routes; tests/pages/test_screenshots.py misses none. A place on a page, after the arrow,
# is followed to the first link there: that is the page of one.
PAGES = {
    "/": "/",
    "/contacts": "/contacts",
    "/contacts/new": "/contacts/new",
    "/contacts/{contact_id}": "/contacts -> a.row-link",
    "/contacts/{row_id}/edit": "/contacts -> a.row-link -> .head-actions a[href*='/edit']",
    "/contacts/{row_id}/merge": "/contacts -> a.row-link -> #merges a[href*='/merge']",
    "/contacts/{contact_id}/erase": "/contacts -> a.row-link -> a[href*='/erase']",
    "/companies": "/companies",
    "/companies/new": "/companies/new",
    "/companies/{company_id}": "/companies -> a.row-link",
    "/companies/{row_id}/edit": "/companies -> a.row-link -> .head-actions a[href*='/edit']",
    "/companies/{row_id}/merge": "/companies -> a.row-link -> #merges a[href*='/merge']",
    "/conversations": "/conversations",
    "/conversations/{conversation_id}": "/conversations?sort=-messages -> a.row-link",
    "/conversations/{row_id}/move": "/conversations -> a.row-link -> a[href*='/move']",
    "/insights": "/insights?by=operator",
    "/insights/at-risk": "/insights/at-risk?silent_days=20",
    "/insights/conversations": "/insights?by=company -> .insight-rows td.figures a",
    "/unmatched": "/unmatched",
    "/unmatched/group": "/unmatched -> .domains a",
    "/unmatched/remedy": "/unmatched/remedy?kind=create&reason=unknown_email",
    "/unmatched/remedies": "/unmatched/remedies",
    "/imports": "/imports",
    "/imports/{import_id}": "/imports -> a.row-link",
    "/syncs": "/syncs",
    "/syncs/{run_id}": "/syncs -> a.row-link",
    "/events": "/events",
    "/events/{event_id}": "/events?state=all -> a.row-link",
    "/search": "/search?q=a",
    "/help": "/help",
    "/settings": "/settings",
    "/settings/alerts": "/settings/alerts",
    "/settings/audit": "/settings/audit",
    "/settings/connection": "/settings/connection",
    "/settings/credential": "/settings/credential",
    "/settings/disconnect": "/settings/disconnect",
    "/settings/domains": "/settings/domains",
    "/settings/mapping": "/settings/mapping",
    "/settings/profile": "/settings/profile",
    "/settings/setup": "/settings/setup",
    "/settings/team": "/settings/team",
    "/settings/team/{user_id}": "/settings/team -> a.row-link",
    "/settings/tokens": "/settings/tokens",
    "/settings/website": "/settings/website",
    "/nowhere": "/nowhere",
}
BEFORE_LOGIN = ("/login",)
SHEET = (
    b"email,name,company,plan\n"
    b"ada@bluefern.example,Ada Muster,Bluefern,pro\nno address,Bob Muster,Bluefern,free\n"
)


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
                look = f"{scheme}-{width}.png"
                for place in BEFORE_LOGIN:
                    await _one(page, url, place, FOLDER / f"{named(place)}-{look}")
                await _log_in(page, url, *login)
                await _upload_once(page, url)
                for route, place in PAGES.items():
                    if only in named(route):
                        await _one(page, url, place, FOLDER / f"{named(route)}-{look}")
                await context.close()
        await browser.close()


def named(route: str) -> str:
    """`contacts-contact_id-edit`; the overview by its name."""
    return re.sub(r"[^a-z_]+", "-", route).strip("-") or "overview"


async def _upload_once(page: Page, url: str) -> None:
    """A file, so that there is an import to see."""
    await page.goto(f"{url}/imports")
    if await page.locator("a.row-link").count():
        return
    sheet: Any = {"name": "customers.csv", "mimeType": "text/csv", "buffer": SHEET}
    await page.set_input_files("input[type=file]", sheet)
    await page.click("form.upload button")
    await page.wait_for_url("**/imports/*")


async def _log_in(page: Page, url: str, email: str, password: str) -> None:
    await page.goto(f"{url}/login")
    await page.fill("input[name=email]", email)
    await page.fill("input[name=password]", password)
    await page.click("button")
    await page.wait_for_url(f"{url}/")


async def _one(page: Page, url: str, place: str, path: Path) -> None:
    address, *links = place.split(" -> ")
    await page.goto(url + address)
    for link in links:
        first = await page.locator(link).first.get_attribute("href", timeout=10_000)
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
